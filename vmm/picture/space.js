"use strict";
/* The address space as a map: rows of pages, from the first area to the last. What several areas
 * share a pixel of is mixed by how much of it they take. */

const areas = data.areas && unpackAreas(data.areas);

function unpackAreas(packed) {
	const {start, end} = unpackStarts(packed);
	const n = start.length, reach = new Float64Array(n);
	for (let i = 0; i < n; i++)
		reach[i] = Math.max(end[i], i ? reach[i - 1] : 0);
	return {...packed, n, start, end, reach,
		text(i) {
			const caller = packed.caller ? packed.callers[packed.caller[i]] : "";
			const pages = packed.mapped && packed.mapped[i] ? `, ${count(packed.mapped[i], "page")}` : "";
			return `${hex(start[i])}-${hex(end[i])} ${sizeText(end[i] - start[i])} ` +
			       `${packed.kinds[packed.kind[i]]}${pages}${caller ? " " + caller : ""}`;
		}};
}

/* The first index in sorted @list whose value is above @value. */
function above(list, value) {
	let low = 0, high = list.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (list[middle] > value)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/*
 * Where pages are on the map: each at its number, or with holes wider than @fold pages drawn as wide
 * as that. Clusters of areas keep their size; to() and from() go forth and back.
 */
function scaleOf(fold) {
	const page = [], place = [], length = [];
	for (let i = 0, last = -1; i < areas.n; i++) {
		if (last >= 0 && areas.start[i] - (page[last] + length[last]) <= fold) {
			length[last] = Math.max(length[last], areas.end[i] - page[last]);
			continue;
		}
		place.push(last < 0 ? (fold < Infinity ? 0 : areas.start[0]) : place[last] + length[last] + fold);
		page.push(areas.start[i]);
		length.push(areas.end[i] - areas.start[i]);
		last++;
	}
	const convert = (value, given, wanted, gapGiven, gapWanted) => {
		const i = Math.max(0, above(given, value) - 1), off = value - given[i];
		if (off <= length[i])
			return wanted[i] + off;
		return i + 1 < given.length ? wanted[i] + length[i] + (off - length[i]) / gapGiven(i) * gapWanted(i) : wanted[i] + off;
	};
	const pageGap = (i) => page[i + 1] - page[i] - length[i], placeGap = (i) => place[i + 1] - place[i] - length[i];
	const to = (value) => convert(value, page, place, pageGap, placeGap);
	const starts = areas.start.map(to), ends = areas.end.map(to), reach = areas.reach.map(to);
	const folds = place.slice(1).map((at, i) => ({from: place[i] + length[i], to: at}));
	return {to, from: (value) => convert(value, place, page, placeGap, pageGap), starts, ends, reach, folds: fold < Infinity ? folds : []};
}

function spaceMap() {
	const ROW = 22, GAP = 4, GUTTER = 150, ROWS = 18, OVERVIEW = 16;
	const taken = areas.start.reduce((sum, start, i) => sum + areas.end[i] - start, 0);
	const extentPages = areas.n ? areas.reach[areas.n - 1] - areas.start[0] : 1;
	let folded = areas.n > 1 && extentPages > 4 * taken, scale, all;
	const rescale = () => {
		scale = scaleOf(folded ? Math.max(16, Math.round(taken / 60)) : Infinity);
		all = {from: areas.n ? scale.starts[0] : 0, to: areas.n ? scale.reach[areas.n - 1] : 1};
	};
	rescale();
	const marks = (data.audit && data.audit.violations || []).map((v) => pageOf(v.address || "")).filter((p) => p >= 0);
	const steps = data.history ? data.history.steps : 0;
	let view, time = steps, chosen = -1, found = [], at = 0, colours;
	const lives = new Uint8Array(areas.n).fill(1);

	/* 0 not there, 1 there, 2 freed and not yet given back */
	const settle = () => {
		if (!steps)
			return;
		const {born, freed, gone} = areas;
		for (let i = 0; i < areas.n; i++)
			lives[i] = born[i] > time || (gone[i] >= 0 && gone[i] <= time) ? 0 : freed[i] >= 0 && freed[i] <= time ? 2 : 1;
	};
	const lazyKind = areas.kinds.indexOf("lazy");
	const kindOf = (i) => lives[i] === 2 && lazyKind >= 0 ? lazyKind : areas.kind[i];

	/* How much of each pixel is taken, and by what. */
	const measure = (from, to, pixels) => {
		const cover = new Float32Array(pixels), kind = new Uint8Array(pixels), each = pixels / (to - from);
		const {starts, ends, reach} = scale;
		for (let i = above(reach, from); i < areas.n && starts[i] < to; i++) {
			if (!lives[i])
				continue;
			const a = Math.max(0, (starts[i] - from) * each), b = Math.min(pixels, (ends[i] - from) * each);
			const first = Math.floor(a), last = Math.min(pixels - 1, Math.floor(b)), k = kindOf(i);
			if (first === last) {
				cover[first] += b - a;
				kind[first] = k;
				continue;
			}
			cover[first] += first + 1 - a;
			cover[last] += b - last;
			kind[first] = k;
			if (b > last)
				kind[last] = k;
			for (let p = first + 1; p < last; p++) {
				cover[p] = 1;
				kind[p] = k;
			}
		}
		return {cover, kind};
	};

	/* 33 shades of every kind; what is there at all is seen. */
	const shades = () => {
		const hole = colour("hole");
		return areas.kinds.map((_, k) => {
			const full = colour(kindColour(areas.kinds, k));
			return Uint32Array.from({length: 33}, (_, level) => {
				const part = level ? Math.max(level / 32, .3) : 0;
				const [r, g, b] = full.map((c, i) => Math.round(hole[i] + (c - hole[i]) * part));
				return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
			});
		});
	};

	const paint = (image, from, to, width, rows, height, gap) => {
		const {cover, kind} = measure(from, to, width * rows);
		const pixels = new Uint32Array(image.data.buffer);
		for (let row = 0; row < rows; row++) {
			const top = row * height * width;
			for (let x = 0; x < width; x++) {
				const p = row * width + x;
				pixels[top + x] = colours[kind[p]][Math.min(32, Math.ceil(cover[p] * 32))];
			}
			for (let y = 1; y < height - gap; y++)
				pixels.copyWithin(top + y * width, top, top + width);
		}
	};

	const place = (at, width, rows) => (at - view.from) / (view.to - view.from) * width * rows;

	const draw = (context, width, height, ratio) => {
		colours = shades();
		const gutter = Math.round(GUTTER * ratio), wide = width - gutter, tall = Math.round(ROW * ratio);
		const image = context.createImageData(wide, ROWS * tall);
		paint(image, view.from, view.to, wide, ROWS, tall, Math.round(GAP * ratio));
		context.putImageData(image, gutter, 0);
		context.font = `${11 * ratio}px ui-monospace, "DejaVu Sans Mono", monospace`;
		context.textBaseline = "middle";
		context.fillStyle = css(colour("soft"));
		const each = (view.to - view.from) / ROWS, middle = (tall - GAP * ratio) / 2;
		for (let row = 0; row < ROWS; row++)
			context.fillText(hex(Math.floor(scale.from(view.from + row * each))), 0, row * tall + middle);
		names(context, wide, tall, gutter, ratio);
		outline(context, wide, tall, gutter, ratio);
	};

	/* What an area is called, where there is room: white on its colour, or black if that is light. */
	const names = (context, wide, tall, gutter, ratio) => {
		const {starts, ends, reach} = scale, first = above(reach, view.from), middle = (tall - GAP * ratio) / 2;
		/* a hole drawn narrower than it is: dots */
		context.fillStyle = css(colour("soft"));
		for (const fold of scale.folds) {
			const a = place((fold.from + fold.to) / 2, wide, ROWS), room = place(fold.to, wide, ROWS) - place(fold.from, wide, ROWS);
			for (let dot = -1; dot <= 1 && a > 0 && a < wide * ROWS && room > 14 * ratio; dot++)
				context.fillRect(gutter + a % wide + dot * 4 * ratio, Math.floor(a / wide) * tall + middle, 1.5 * ratio, 1.5 * ratio);
		}
		if (above(starts, view.to) - first > 2000)
			return;
		context.save();
		for (let i = first; i < areas.n && starts[i] < view.to; i++) {
			const a = Math.max(0, place(starts[i], wide, ROWS)), b = place(ends[i], wide, ROWS);
			const row = Math.floor(a / wide), room = Math.min(b, (row + 1) * wide) - a;
			if (!lives[i] || row >= ROWS)
				continue;
			/* where it begins, if the one before it ends there */
			if (b - a > 5 * ratio && starts[i] > view.from) {
				context.fillStyle = css(colour("paper"));
				context.fillRect(gutter + a % wide, row * tall, ratio, tall - GAP * ratio);
			}
			/* the guard page, where there is one and it can be seen */
			if (areas.mapped && areas.mapped[i] && areas.mapped[i] < areas.end[i] - areas.start[i]) {
				const g = place(starts[i] + areas.mapped[i], wide, ROWS), guardRow = Math.floor(g / wide);
				context.fillStyle = css(colour("hole"));
				if (b - g > 2)
					context.fillRect(gutter + g % wide, guardRow * tall + tall * .3, Math.min(b - g, wide - g % wide) - 1, tall * .22);
			}
			const label = (areas.caller && areas.callers[areas.caller[i]]) || areas.kinds[areas.kind[i]];
			if (room < 46 * ratio)
				continue;
			const [r, g, b2] = colour(kindColour(areas.kinds, kindOf(i)));
			context.fillStyle = r * .3 + g * .59 + b2 * .11 > 140 ? "#000" : "#fff";
			context.save();
			context.beginPath();
			context.rect(gutter + a % wide + 3, row * tall, room - 6, tall);
			context.clip();
			context.fillText(label, gutter + a % wide + 4 * ratio, row * tall + middle);
			context.restore();
		}
		context.restore();
	};

	const outline = (context, wide, tall, gutter, ratio) => {
		const box = (from, to, style) => {
			let a = Math.max(0, place(from, wide, ROWS));
			const b = Math.min(wide * ROWS, Math.max(place(to, wide, ROWS), a + 3 * ratio));
			context.strokeStyle = style;
			context.lineWidth = 2 * ratio;
			for (; a < b; a = (Math.floor(a / wide) + 1) * wide) {
				const row = Math.floor(a / wide);
				context.strokeRect(gutter + a % wide, row * tall + ratio, Math.min(b, (row + 1) * wide) - a, tall - GAP * ratio - 2 * ratio);
			}
		};
		for (const at of marks.map(scale.to))
			if (at >= view.from && at < view.to)
				box(at, at + 1, css(colour("wrong")));
		if (chosen >= 0 && scale.ends[chosen] > view.from && scale.starts[chosen] < view.to)
			box(scale.starts[chosen], scale.ends[chosen], css(colour("ink")));
	};

	const overview = drawing(() => OVERVIEW + 8, (context, width, height, ratio) => {
		colours = shades();
		const tall = Math.round(OVERVIEW * ratio), image = context.createImageData(width, tall);
		paint(image, all.from, all.to, width, 1, tall, 0);
		context.putImageData(image, 0, Math.round(4 * ratio));
		const x = (at) => (at - all.from) / (all.to - all.from) * width;
		context.strokeStyle = css(colour("ink"));
		context.lineWidth = 2 * ratio;
		context.strokeRect(x(view.from), ratio, Math.max(3, x(view.to) - x(view.from)), height - 2 * ratio);
	}, {"aria-hidden": "true"});
	const map = drawing(() => ROWS * ROW, draw, {class: "map", tabindex: "0", role: "application", id: "map",
		"aria-label": "Map of the address space: arrows move, plus and minus zoom, 0 shows all, N and P go from area to area"});

	const said = el("div", {class: "details", role: "status", id: "chosen"}, "Nothing is chosen.");
	const extent = el("output", {id: "extent"});
	const show = () => {
		const from = Math.floor(scale.from(view.from)), to = Math.ceil(scale.from(view.to));
		extent.textContent = `${hex(from)} to ${hex(to)}, ${sizeText(to - from)}`;
		map.ask();
		overview.ask();
	};
	const look = (from, to) => {
		const least = 4, span = Math.min(Math.max(to - from, least), all.to - all.from || 1);
		const start = Math.min(Math.max((from + to - span) / 2, all.from), Math.max(all.to - span, all.from));
		view = {from: start, to: start + span};
		show();
	};
	const zoom = (factor, at = (view.from + view.to) / 2) =>
		look(at - (at - view.from) * factor, at + (view.to - at) * factor);
	const move = (part) => look(view.from + (view.to - view.from) * part, view.to + (view.to - view.from) * part);
	const choose = (i, go = true) => {
		chosen = i;
		said.textContent = i < 0 ? "Nothing is chosen." : areas.text(i);
		if (i >= 0 && data.history)
			said.append(el("br"), `allocated by operation ${areas.born[i]}` +
				(areas.freed[i] >= 0 ? `, freed by ${areas.freed[i]}` : "") + (areas.gone[i] >= 0 ? `, given back by ${areas.gone[i]}` : ""));
		const from = scale.starts[i], to = scale.ends[i];
		if (i >= 0 && go && (from < view.from || to > view.to || to - from < (view.to - view.from) / 400)) {
			const span = Math.max((to - from) * 12, ROWS * 4);
			look((from + to - span) / 2, (from + to + span) / 2);
		}
		show();
	};
	on("goto", (page) => {
		const i = areaAt(page);
		if (i >= 0)
			choose(i);
		else
			look(scale.to(page) - 64, scale.to(page) + 64);
		document.getElementById("space").scrollIntoView();
	});

	/* The living area that holds a page, or -1. */
	const areaAt = (page) => {
		for (let i = above(areas.reach, page); i < areas.n && areas.start[i] <= page; i++)
			if (areas.end[i] > page && lives[i])
				return i;
		return -1;
	};
	const holeText = (page) => {
		let before = above(areas.start, page) - 1, after = before + 1;
		while (before >= 0 && !lives[before])
			before--;
		while (after < areas.n && !lives[after])
			after++;
		const from = before >= 0 ? areas.end[before] : areas.start[0], to = after < areas.n ? areas.start[after] : areas.reach[areas.n - 1];
		return `hole ${hex(from)}-${hex(to)} ${sizeText(to - from)}`;
	};

	/* ---- hands ---- */

	const placeUnder = (event) => {
		const box = map.canvas.getBoundingClientRect(), wide = box.width - GUTTER;
		const x = Math.min(Math.max(event.clientX - box.left - GUTTER, 0), wide - .01);
		const row = Math.min(Math.max(Math.floor((event.clientY - box.top) / ROW), 0), ROWS - 1);
		return view.from + (row * wide + x) / (wide * ROWS) * (view.to - view.from);
	};
	let held = null;
	map.canvas.addEventListener("pointerdown", (event) => {
		held = {at: placeUnder(event), x: event.clientX, y: event.clientY, moved: false};
		map.canvas.setPointerCapture(event.pointerId);
	});
	map.canvas.addEventListener("pointermove", (event) => {
		if (held && (held.moved || Math.hypot(event.clientX - held.x, event.clientY - held.y) > 4)) {
			held.moved = true;
			map.canvas.classList.add("drag");
			const by = held.at - placeUnder(event);
			look(view.from + by, view.to + by);
			showTip(event, "");
			return;
		}
		const page = Math.floor(scale.from(placeUnder(event))), i = areaAt(page);
		showTip(event, i >= 0 ? areas.text(i) : holeText(page));
	});
	map.canvas.addEventListener("pointerup", (event) => {
		if (held && !held.moved)
			choose(areaAt(Math.floor(scale.from(placeUnder(event)))), false);
		held = null;
		map.canvas.classList.remove("drag");
	});
	map.canvas.addEventListener("pointerleave", (event) => showTip(event, ""));
	map.canvas.addEventListener("wheel", (event) => {
		event.preventDefault();
		zoom(Math.exp(Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 120) / 400), placeUnder(event));
	}, {passive: false});
	const next = (by) => {
		let i = chosen < 0 ? above(scale.reach, view.from) - (by > 0 ? 1 : 0) : chosen;
		for (i += by; i >= 0 && i < areas.n; i += by)
			if (lives[i])
				return choose(i);
	};
	const keys = {ArrowLeft: () => move(-.1), ArrowRight: () => move(.1), ArrowUp: () => move(-1 / ROWS), ArrowDown: () => move(1 / ROWS),
		PageUp: () => move(-.9), PageDown: () => move(.9), "+": () => zoom(.6), "=": () => zoom(.6), "-": () => zoom(1 / .6),
		0: () => look(all.from, all.to), Home: () => look(all.from, all.to), n: () => next(1), p: () => next(-1), Escape: () => choose(-1)};
	map.canvas.addEventListener("keydown", (event) => {
		if (!keys[event.key] || event.ctrlKey || event.metaKey)
			return;
		event.preventDefault();
		keys[event.key]();
	});

	/* ---- search and time ---- */

	const results = el("output", {id: "found"});
	const field = el("input", {type: "search", id: "search", placeholder: "address, caller or kind (key /)", "aria-label": "Search",
		oninput: () => search(field.value), onkeydown: (event) => {
			if (event.key === "Enter" && found.length) {
				at = (at + (event.shiftKey ? found.length - 1 : 1)) % found.length;
				step();
			}
		}});
	const step = () => {
		results.textContent = found.length ? `${at + 1} of ${found.length.toLocaleString("en")}` : field.value ? "none" : "";
		if (found.length)
			choose(found[at]);
	};
	const search = (text) => {
		const page = pageOf(text), word = text.trim().toLowerCase();
		found = [];
		at = 0;
		for (let i = 0; word && i < areas.n; i++) {
			if (!lives[i])
				continue;
			const caller = areas.caller ? areas.callers[areas.caller[i]].toLowerCase() : "";
			if ((areas.start[i] <= page && page < areas.end[i]) || caller.includes(word) || areas.kinds[kindOf(i)] === word)
				found.push(i);
		}
		step();
	};
	document.addEventListener("keydown", (event) => {
		if (event.key === "/" && !event.target.matches("input")) {
			event.preventDefault();
			field.focus();
		}
	});
	const living = el("output", {id: "living"});
	const totals = el("div");
	const tally = () => {
		const counts = areas.kinds.map(() => 0);
		let pages = 0, n = 0;
		for (let i = 0; i < areas.n; i++)
			if (lives[i]) {
				counts[kindOf(i)]++;
				pages += areas.end[i] - areas.start[i];
				n++;
			}
		living.textContent = `${count(n, "area")}, ${sizeText(pages)}`;
		totals.replaceChildren(legend(areas.kinds, counts));
		totals.firstChild.append(el("li", {}, el("span", {class: "swatch notch"}), "guard page: a notch at the end"));
	};
	const go = (to) => {
		time = to;
		slider.value = to;
		when.textContent = `after ${to.toLocaleString("en")} of ${count(steps, "operation")}` +
			(data.history && data.history.seconds ? `, ${data.history.seconds[Math.min(to, data.history.seconds.length - 1)].toFixed(3)} s` : "");
		settle();
		tally();
		show();
	};
	const slider = el("input", {type: "range", id: "time", min: 0, max: steps, value: steps, "aria-label": "Time, in operations",
		oninput: () => go(Number(slider.value))});
	const when = el("output", {id: "when"});
	let playing = null;
	const play = el("button", {type: "button", onclick: () => {
		clearInterval(playing);
		playing = playing ? null : setInterval(() => {
			go(time >= steps ? 0 : Math.min(steps, time + Math.max(1, Math.round(steps / 400))));
		}, 50);
		play.textContent = playing ? "Pause" : "Play";
	}}, "Play");

	section("space", "Address space",
		el("p", {}, "Each row goes on where the one above ends. The wheel or + and - zoom, dragging or arrows move, 0 shows all, " +
			    "N and P go from area to area, a click chooses one."),
		el("div", {class: "bar"}, field, results, el("button", {type: "button", id: "in", onclick: () => zoom(.5)}, "+"),
		   el("button", {type: "button", id: "out", onclick: () => zoom(2)}, "\u2212"),
		   el("button", {type: "button", id: "all", onclick: () => look(all.from, all.to)}, "All"),
		   el("label", {}, el("input", {type: "checkbox", id: "fold", checked: folded, onchange: (event) => {
			folded = event.target.checked;
			rescale();
			view = {...all};
			show();
		   }}), " wide holes folded"), extent),
		steps ? el("div", {class: "bar"}, play, slider, when) : null,
		el("div", {class: "bar"}, living), totals, overview.canvas, map.canvas, said);
	view = {...all};
	settle();
	tally();
	if (steps)
		go(steps);
	show();
	/* for tests: what is looked at, and one drawing that is waited for */
	window.nestboxMap = {view: () => view, chosen: () => chosen, draw: () => map.now(), zoom, go, living: () => living.textContent};
}
if (areas)
	spaceMap();
