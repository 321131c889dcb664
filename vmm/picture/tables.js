"use strict";
/* The page-table tree, made from the ranges that are mapped: how full each table is, with what
 * rights; and the frames of the guest, by owner, with the leaves of the second stage. */

const LEVELS = ["page", "PT", "PD", "PDPT", "PML4", "PML5"];
const span = (level) => 512 ** level; /* pages under one table of that level */

function tablesOf(maps) {
	const {start, end} = unpackStarts(maps);
	const levels = maps.levels || 4, root = {level: levels, page: 0, entries: 0, leaves: 0, below: new Map(), rights: new Map()};
	const under = (table, page) => {
		const at = Math.floor(page / span(table.level - 1));
		if (!table.below.has(at)) {
			table.below.set(at, {level: table.level - 1, page: at * span(table.level - 1), entries: 0, leaves: 0,
					     below: new Map(), rights: new Map()});
			table.entries++;
		}
		return table.below.get(at);
	};
	for (let i = 0; i < start.length; i++) {
		const each = maps.sizes[maps.size[i]] / PAGE, leafLevel = Math.round(Math.log(each) / Math.log(512)) + 1;
		const name = `${maps.names[maps.rights[i]]} ${sizeText(each)}`;
		for (let page = start[i]; page < end[i];) {
			let table = root;
			const path = [root];
			while (table.level > leafLevel)
				path.push(table = under(table, page));
			const stop = Math.min(end[i], (Math.floor(page / span(table.level)) + 1) * span(table.level));
			const leaves = Math.round((stop - page) / each);
			table.entries += leaves;
			for (const one of path)
				one.rights.set(name, (one.rights.get(name) || 0) + leaves);
			page = stop;
		}
	}
	return root;
}

function tableTree() {
	const root = tablesOf(data.maps), perLevel = new Map();
	const countTables = (table) => {
		const sum = perLevel.get(table.level) || {tables: 0, entries: 0};
		sum.tables++;
		sum.entries += table.entries;
		perLevel.set(table.level, sum);
		table.below.forEach(countTables);
	};
	countTables(root);

	const describe = (table) => {
		const rights = [...table.rights].sort((a, b) => b[1] - a[1]).map(([name, n]) => `${n.toLocaleString("en")} \u00d7 ${name}`);
		return [LEVELS[table.level], " ", el("span", {class: "hex"}, hex(table.page)),
			el("span", {class: "fill", role: "img", "aria-label": `${table.entries} of 512 entries`},
			   el("i", {style: `width: ${Math.max(2, table.entries / 512 * 100)}%`})),
			`${table.entries} of 512; `, el("span", {class: "count"}, rights.slice(0, 4).join(", ") + (rights.length > 4 ? ", ..." : ""))];
	};
	const node = (table) => {
		if (!table.below.size)
			return el("div", {class: "leaf"}, ...describe(table));
		const box = el("details", {}, el("summary", {}, ...describe(table)));
		box.addEventListener("toggle", () => {
			if (box.open && box.childElementCount === 1)
				box.append(...[...table.below.values()].sort((a, b) => a.page - b.page).map(node));
		});
		return box;
	};
	const top = node(root);
	top.open = true;
	section("tables", "Page tables",
		el("p", {}, "How many of its 512 entries each table uses, and what its leaves allow: letters are read, write, execute, user."),
		el("table", {}, el("tr", {}, el("th", {}, "level"), el("th", {class: "n"}, "tables"), el("th", {class: "n"}, "entries in use"),
				   el("th", {class: "n"}, "fill")),
		   ...[...perLevel].sort((a, b) => b[0] - a[0]).map(([level, sum]) => el("tr", {}, el("td", {}, LEVELS[level]),
			el("td", {class: "n"}, sum.tables.toLocaleString("en")), el("td", {class: "n"}, sum.entries.toLocaleString("en")),
			el("td", {class: "n"}, `${(sum.entries / sum.tables / 5.12).toFixed(1)} %`)))),
		el("div", {class: "tree"}, top));
}
if (data.maps && data.maps.step.length)
	tableTree();

/* ---- frames ---- */

function frameMap() {
	const CELL = 7;
	const {owners, zones, runs, stage2} = data.frames;
	const totals = owners.map(() => 0);
	for (let i = 0; i < runs.length; i += 3)
		totals[runs[i + 2]] += runs[i + 1];
	const sizes = stage2 ? [...new Set(stage2.bytes)].sort((a, b) => a - b) : [];
	let over = true;

	const zoneCanvas = (zone) => {
		const columns = (width) => Math.floor(width / CELL);
		const perCell = (width) => Math.max(1, Math.ceil(zone.frames / (columns(width) * 40)));
		const rows = (width) => Math.ceil(zone.frames / perCell(width) / columns(width));
		const cellsOf = (width) => {
			const each = perCell(width), cells = Math.ceil(zone.frames / each), best = new Float64Array(cells), owner = new Uint8Array(cells).fill(255);
			for (let i = 0, at = 0; i < runs.length; i += 3) {
				at = runs[i];
				const from = Math.max(at, zone.start), to = Math.min(at + runs[i + 1], zone.start + zone.frames);
				for (let cell = Math.floor((from - zone.start) / each); cell * each + zone.start < to; cell++) {
					const part = Math.min(to, zone.start + (cell + 1) * each) - Math.max(from, zone.start + cell * each);
					/* what is in use is seen among what is free */
					const weight = part * (runs[i + 2] === data.frames.idle ? .02 : 1);
					if (part > 0 && weight > best[cell]) {
						best[cell] = weight;
						owner[cell] = runs[i + 2];
					}
				}
			}
			return {each, owner};
		};
		const leafAt = (page) => {
			if (!stage2)
				return 0;
			const i = above(stage2.start, page) - 1;
			return i >= 0 && page < stage2.start[i] + stage2.pages[i] ? stage2.bytes[i] : 0;
		};
		const map = drawing((width) => rows(width) * CELL, (context, width, height, ratio) => {
			const wide = width / ratio, {each, owner} = cellsOf(wide), across = columns(wide), fills = owners.map((_, k) => css(colour(kindColour(owners, k))));
			const empty = css(colour("hole"));
			context.scale(ratio, ratio);
			owner.forEach((kind, cell) => {
				const x = cell % across * CELL, y = Math.floor(cell / across) * CELL;
				context.fillStyle = kind === 255 ? empty : fills[kind];
				context.fillRect(x, y, CELL - 1, CELL - 1);
			});
			if (!stage2 || !over)
				return;
			context.fillStyle = css(colour("ink"));
			owner.forEach((_, cell) => {
				const bytes = leafAt(zone.start + cell * each), x = cell % across * CELL, y = Math.floor(cell / across) * CELL;
				if (bytes)
					context.fillRect(x, y + CELL - 2, (CELL - 1) * (bytes >= 1 << 30 ? 1 : bytes >= 1 << 21 ? .62 : .25), 1);
			});
		}, {role: "img", "aria-label": `Frames of node ${zone.node}, zone ${zone.zone}`});
		map.canvas.addEventListener("pointermove", (event) => {
			const box = map.canvas.getBoundingClientRect(), {each, owner} = cellsOf(box.width);
			const cell = Math.floor((event.clientY - box.top) / CELL) * columns(box.width) + Math.floor((event.clientX - box.left) / CELL);
			if (cell < 0 || cell >= owner.length)
				return showTip(event, "");
			const page = zone.start + cell * each, bytes = leafAt(page);
			showTip(event, `frame 0x${page.toString(16)} (${hex(page)}), ${count(each, "frame")}: ${owner[cell] === 255 ? "no RAM" : owners[owner[cell]]}` +
				(stage2 ? bytes ? `; second stage: ${sizeText(bytes / PAGE)} leaf` : "; second stage: not touched" : ""));
		});
		map.canvas.addEventListener("pointerleave", (event) => showTip(event, ""));
		redraw.push(map.ask);
		return el("div", {}, el("h3", {}, `Node ${zone.node}, zone ${zone.zone}: ${sizeText(zone.frames)} from ${hex(zone.start)}`), map.canvas);
	};
	const redraw = [];
	section("frames", "Frames",
		el("p", {}, "Each cell is some frames of a zone, in the colour of what most of those in use are."),
		legend(owners, totals), stage2 ? el("div", {class: "bar"}, el("label", {}, el("input", {type: "checkbox", checked: true, id: "over", onchange: (event) => {
			over = event.target.checked;
			redraw.forEach((ask) => ask());
		}}), ` leaves of the second stage: a short line is ${sizes.length ? "4 KiB" : "none"}, a longer one 2 MiB, a whole one 1 GiB`)) : null,
		...zones.map(zoneCanvas));
}
if (data.frames) {
	if (data.frames.stage2) {
		const {start} = unpackStarts(data.frames.stage2);
		data.frames.stage2.start = start;
	}
	frameMap();
}
