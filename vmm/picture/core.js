"use strict";
/* The page: what is common to its sections. Addresses are kept as numbers of pages of 4 KiB: below
 * 2^52, so that JavaScript's numbers hold them exactly. */

const data = JSON.parse(document.getElementById("data").textContent);
const PAGE = 4096;

/* An element: attributes of the name "on..." are listeners, the others attributes. */
function el(tag, attributes = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith("on"))
			element.addEventListener(name.slice(2), value);
		else if (value !== false && value !== undefined)
			element.setAttribute(name, value === true ? "" : value);
	}
	element.append(...children.filter((child) => child !== undefined && child !== null));
	return element;
}

function svg(tag, attributes = {}, ...children) {
	const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const [name, value] of Object.entries(attributes))
		element.setAttribute(name, value);
	element.append(...children);
	return element;
}

/* A page number as an address, and back; NaN for what is none. */
const hex = (page) => "0x" + (page ? page.toString(16) + "000" : "0");
function pageOf(text) {
	const digits = text.trim().replace(/^0x/i, "").replace(/[_`]/g, "");
	return /^[0-9a-f]{1,16}$/i.test(digits) ? Number(BigInt("0x" + digits) >> 12n) : NaN;
}

function sizeText(pages) {
	const units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
	let value = pages * 4, unit = 0;
	for (; value >= 1024 && unit < units.length - 1; unit++)
		value /= 1024;
	return `${value < 10 && value % 1 ? value.toFixed(1) : Math.round(value).toLocaleString("en")} ${units[unit]}`;
}

const count = (n, one, many = one + "s") => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/* ---- colours: those of the style sheet, which knows light and dark ---- */

const probe = document.body.appendChild(el("span", {hidden: true}));
function colour(name) {
	probe.style.color = `var(--${name})`;
	return getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
}
const css = (rgb) => `rgb(${rgb.join(" ")})`;
const KINDS = 13;
/* What is met on most pages has the same colour on all of them; the rest take what is left. */
const COLOURS = {vmalloc: 0, vmap: 1, user: 2, ioremap: 3, vm_map_ram: 4, vpages: 5, area: 7, lazy: 11, pooled: 8,
	fresh: 11, free: 7, table: 5, slab: 2, kmalloc: 3, "per-cpu": 4, "page array": 9, image: 8, boot: 6, "boot table": 10, other: 1, unknown: 12};
const kindColour = (names, index) => "k" + (COLOURS[names[index]] ?? index % KINDS);
const swatch = (name) => el("span", {class: "swatch", style: `background: var(--${name})`});

/* ---- who tells whom ---- */

const listeners = new Map();
const on = (event, listener) => listeners.set(event, [...(listeners.get(event) || []), listener]);
const tell = (event, ...what) => (listeners.get(event) || []).forEach((listener) => listener(...what));

/* ---- sections ---- */

const main = document.getElementById("main");
function section(id, heading, ...content) {
	main.append(el("section", {id}, el("h2", {}, heading), ...content));
	document.getElementById("nav").append(el("a", {href: "#" + id}, heading));
}

/* A list of swatches, names and counts; no row for what there is none of. */
function legend(names, counts) {
	return el("ul", {class: "legend"}, ...names.map((name, index) => counts && !counts[index] ? null :
		el("li", {}, swatch(kindColour(names, index)), name,
		   counts ? el("span", {class: "count"}, counts[index].toLocaleString("en")) : null)));
}

const tip = document.getElementById("tip");
function showTip(event, text) {
	tip.hidden = !text;
	if (!text)
		return;
	tip.textContent = text;
	const {width, height} = tip.getBoundingClientRect();
	tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8)) + "px";
	tip.style.top = (event.clientY + 20 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 18) + "px";
}

/* A canvas of @height style pixels, drawn anew by draw(context, width, height, ratio) when its
 * width, the colours or the printer want it. Returns the canvas and what asks for a drawing. */
function drawing(heightOf, draw, attributes = {}) {
	const canvas = el("canvas", {...attributes});
	let asked = false, width = 0;
	const now = () => {
		asked = false;
		const ratio = window.devicePixelRatio || 1;
		width = canvas.clientWidth;
		if (!width)
			return;
		const height = heightOf(width);
		canvas.style.height = height + "px";
		canvas.width = Math.round(width * ratio);
		canvas.height = Math.round(height * ratio);
		draw(canvas.getContext("2d"), canvas.width, canvas.height, ratio);
	};
	const ask = () => {
		if (!asked)
			requestAnimationFrame(now);
		asked = true;
	};
	new ResizeObserver(() => canvas.clientWidth !== width && ask()).observe(canvas);
	on("colours", ask);
	return {canvas, ask, now};
}

/* Steps to starts: packed lists say how far each starts behind the one before it. */
function unpackStarts(packed) {
	const start = new Float64Array(packed.step.length), end = new Float64Array(start.length);
	let at = pageOf(packed.base);
	for (let i = 0; i < start.length; i++) {
		at += packed.step[i];
		start[i] = at;
		end[i] = at + packed.pages[i];
	}
	return {start, end};
}

function head() {
	document.title = data.title + " - nestbox";
	document.getElementById("title").textContent = data.title;
	for (const [name, value] of data.about || [])
		document.getElementById("about").append(el("div", {}, el("dt", {}, name), el("dd", {}, value)));
	const turn = () => {
		const root = document.documentElement;
		const dark = root.dataset.theme ? root.dataset.theme === "dark"
						: matchMedia("(prefers-color-scheme: dark)").matches;
		root.dataset.theme = dark ? "light" : "dark";
		tell("colours");
	};
	document.getElementById("theme").addEventListener("click", turn);
	document.addEventListener("keydown", (event) => {
		if (event.key.toLowerCase() === "d" && !event.ctrlKey && !event.metaKey && !event.target.matches("input"))
			turn();
	});
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => tell("colours"));
	matchMedia("print").addEventListener("change", () => tell("colours"));
}
head();
