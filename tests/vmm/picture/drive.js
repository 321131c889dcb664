/* Drives a page of nestbox in the browser it is open in, as a person would: keys, wheel, search,
 * slider, buttons. Appended to the page by tests/vmm/picture/test_page.sh; what it saw it leaves as
 * lines in #driven, "ok: ..." or "FAILED: ...". All of it runs before the page counts as loaded,
 * which is when the browser hands it over: so it asks for drawings where a person waits for one. */
"use strict";
(() => {
	const opened = performance.now(), lines = [], said = (ok, text) => lines.push(`${ok ? "ok" : "FAILED"}: ${text}`);
	const frame = () => window.nestboxMap.draw();
	const get = (id) => document.getElementById(id);
	const press = (target, key) => target.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
	/* How many colours the map shows, and what it looks like. */
	const look = (canvas) => {
		const pixels = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
		let sum = 0;
		for (const pixel of pixels)
			sum = (Math.imul(sum, 31) + pixel) | 0;
		return {colours: new Set(pixels).size, sum};
	};
	try {
		const map = get("map"), state = window.nestboxMap;
		frame();
		const first = look(map), whole = state.view();
		said(first.colours > 3, "the map is drawn");
		map.focus();
		press(map, "+");
		frame();
		said(state.view().to - state.view().from < whole.to - whole.from && look(map).sum !== first.sum, "plus zooms in");
		const before = state.view().from;
		press(map, "ArrowRight");
		frame();
		said(state.view().from > before, "an arrow moves");
		const narrow = state.view().to - state.view().from, box = map.getBoundingClientRect();
		map.dispatchEvent(new WheelEvent("wheel", {deltaY: -120, clientX: box.left + box.width / 2, clientY: box.top + 40, bubbles: true, cancelable: true}));
		frame();
		said(state.view().to - state.view().from < narrow, "the wheel zooms in");
		press(map, "0");
		frame();
		said(look(map).sum === first.sum, "0 shows all again");
		press(map, "n");
		frame();
		said(state.chosen() >= 0 && get("chosen").textContent.startsWith("0x"), "N chooses an area and says which");

		const address = get("chosen").textContent.match(/0x[0-9a-f]+/)[0];
		press(document.body, "/");
		said(document.activeElement === get("search"), "/ goes to the search");
		get("search").value = address;
		get("search").dispatchEvent(new Event("input", {bubbles: true}));
		said(get("found").textContent === "1 of 1" && get("chosen").textContent.startsWith(address), "an address is found");
		get("search").value = "no such caller";
		get("search").dispatchEvent(new Event("input", {bubbles: true}));
		said(get("found").textContent === "none", "what is not there is not found");

		if (get("time")) {
			const last = state.living();
			get("time").value = 0;
			get("time").dispatchEvent(new Event("input", {bubbles: true}));
			frame();
			said(state.living() !== last && get("when").textContent.startsWith("after 0 of"), "the slider goes back in time");
			get("time").value = get("time").max;
			get("time").dispatchEvent(new Event("input", {bubbles: true}));
			said(state.living() === last, "and forth");
		}
		const paper = getComputedStyle(document.body).backgroundColor;
		get("theme").click();
		said(getComputedStyle(document.body).backgroundColor !== paper, "light and dark are two");
		frame();
		for (const heading of document.querySelectorAll("#tables details")) {
			heading.open = true;
			heading.dispatchEvent(new Event("toggle"));
		}
		said(!get("tables") || document.querySelectorAll("#tables details, #tables .leaf").length > 1, "the tables open");
		said(!get("walk") || document.querySelectorAll("#walk rect").length > 4, "the walk is drawn");
		press(map, "0");
		const times = [];
		for (let i = 0; i < 30; i++) {
			const start = performance.now();
			state.zoom(i < 15 ? .8 : 1.25);
			state.draw();
			times.push(performance.now() - start);
		}
		times.sort((a, b) => a - b);
		lines.push(`told: ${times[15].toFixed(1)} ms a drawing, ready ${opened.toFixed(0)} ms after it was asked for`);
	} catch (error) {
		said(false, error.stack);
	}
	const result = document.createElement("pre");
	result.id = "driven";
	result.textContent = lines.join("\n") + "\nend of the drive";
	document.body.append(result);
})();
