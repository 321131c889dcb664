"use strict";
/* One walk through both stages, latencies, the audit, an interleaving; each a figure of its own. */

const arrowHead = () => svg("defs", {}, svg("marker", {id: "head", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto"},
	svg("path", {d: "M0 0L8 4L0 8z", fill: "currentColor"})));

function walkFigure(walk) {
	const WIDTH = 190, STEP = 232, HEIGHT = 112, names = ["", "PTE", "PDE", "PDPTE", "PML4E", "PML5E"];
	const steps = walk.entries || [], boxes = steps.length + 1;
	const figure = svg("svg", {viewBox: `0 0 ${boxes * STEP + 10} 262`, role: "img", width: boxes * STEP + 10,
		"aria-label": `The walk of ${walk.address} through both stages`}, arrowHead());
	const box = (column, row, style, lines) => {
		const x = 8 + column * STEP, y = 8 + row * 142;
		figure.append(svg("rect", {x, y, width: WIDTH, height: HEIGHT - 14, rx: 5, class: style}));
		lines.filter(Boolean).forEach((line, i) => figure.append(svg("text", {x: x + 9, y: y + 19 + i * 18, class: i ? "soft" : ""}, line)));
	};
	const second = (column, what, address) => {
		box(column, 1, "second", what && what.mapped ? ["second stage", `from ${address}`, `${sizeText(what["leaf-bytes"] / PAGE)} leaf`,
			what["host-physical"] ? `host ${what["host-physical"]}` : `at ${what.physical}`] : ["second stage", `from ${address}`, what ? "not mapped" : "not told"]);
		figure.append(svg("path", {class: "arrow", d: `M${8 + column * STEP + WIDTH / 2} ${HEIGHT - 6}V146`}));
	};
	steps.forEach((entry, i) => {
		box(i, 0, "box", [`${names[entry.level]} at ${entry.at}`, entry.value, entry.flags.join(" "), `${entry.rights}${entry.leaf ? ", leaf" : ""}`]);
		figure.append(svg("path", {class: "arrow", d: `M${8 + i * STEP + WIDTH} 52H${8 + (i + 1) * STEP}`}));
		second(i, entry.second, entry.at);
	});
	box(steps.length, 0, "box", walk.physical ? [`page at ${walk.physical}`, `${sizeText(walk["page-bytes"] / PAGE)}, ${walk.rights}`,
		walk.both ? `both stages: ${walk.both}` : ""] : ["no page", walk.status]);
	if (walk.physical)
		second(steps.length, walk.second, walk.physical);
	section("walk", `Walk of ${walk.address}`,
		el("p", {}, `${walk.region || ""} ${walk.status}. Above: the guest's tables, each entry where it lies. Below: where the second stage ` +
			    `(${walk["second-stage"] || "predicted"}) puts what the walker reads.`), el("div", {class: "scroll"}, figure));
}
if (data.walk)
	walkFigure(data.walk);

/* Buckets are [from, to, samples); both axes logarithmic, because tails are what is looked for. */
function histogram(one) {
	const W = 640, H = 170, LEFT = 44, BOTTOM = 24;
	const low = Math.max(1, Math.min(...one.buckets.map((b) => b[0]))), high = Math.max(low + 1, ...one.buckets.map((b) => b[1]));
	const most = Math.max(...one.buckets.map((b) => b[2]));
	const x = (value) => LEFT + (Math.log(Math.max(value, low)) - Math.log(low)) / (Math.log(high) - Math.log(low)) * (W - LEFT - 10);
	const y = (samples) => samples ? H - BOTTOM - (Math.log10(samples) + .3) / (Math.log10(most) + .3) * (H - BOTTOM - 14) : H - BOTTOM;
	const figure = svg("svg", {viewBox: `0 0 ${W} ${H}`, width: W, role: "img", "aria-label": `${one.name}: median ${one.p50}, 99 % ${one.p99}, at most ${one.max} ${one.unit}`});
	for (let power = 0; 10 ** power <= most; power++)
		figure.append(svg("text", {x: LEFT - 6, y: y(10 ** power) + 4, "text-anchor": "end", class: "soft"}, (10 ** power).toLocaleString("en")));
	for (const [from, to, samples] of one.buckets) {
		const bar = svg("rect", {x: x(from), y: y(samples), width: Math.max(1, x(to) - x(from) - .5), height: H - BOTTOM - y(samples), style: "fill: var(--k0)"});
		bar.append(svg("title", {}, `${from.toLocaleString("en")} to ${(to - 1).toLocaleString("en")} ${one.unit}: ${samples.toLocaleString("en")}`));
		figure.append(bar);
	}
	for (const [name, value] of [["p50", one.p50], ["p99", one.p99], ["max", one.max]])
		figure.append(svg("path", {d: `M${x(value)} 6V${H - BOTTOM}`, style: "stroke: var(--k5); stroke-dasharray: 3 3"}),
			svg("text", {x: Math.min(x(value) + 3, W - 26), y: name === "p99" ? 28 : 15}, name));
	for (const value of [low, Math.round(Math.sqrt(low * high)), high - 1])
		figure.append(svg("text", {x: x(value), y: H - 6, "text-anchor": value === low ? "start" : value === high - 1 ? "end" : "middle", class: "soft"}, value.toLocaleString("en")));
	return el("div", {}, el("h3", {}, `${one.name}: ${one.count.toLocaleString("en")} samples in ${one.unit}`), figure,
		el("p", {}, `p50 ${one.p50.toLocaleString("en")}, p90 ${one.p90.toLocaleString("en")}, p99 ${one.p99.toLocaleString("en")}, max ${one.max.toLocaleString("en")} ${one.unit}`));
}
if (data.latency && data.latency.length)
	section("latency", "Latencies", el("p", {}, "Both axes are logarithmic."), ...data.latency.map(histogram));

if (data.table)
	for (const table of data.table)
		section(table.id, table.heading, el("div", {class: "scroll"}, el("table", {}, el("tr", {}, ...table.columns.map((name) => el("th", {}, name))),
			...table.rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {class: typeof cell === "number" ? "n" : ""},
				typeof cell === "number" ? cell.toLocaleString("en") : cell)))))));

function auditSection(audit) {
	const link = (violation) => {
		const page = pageOf(violation.address || "");
		return page >= 0 && areas ? el("button", {type: "button", class: "hex", onclick: () => tell("goto", page)}, violation.address) : violation.address || "";
	};
	section("audit", "Audit", audit.violations.length
		? el("div", {}, el("p", {class: "wrong"}, count(audit.violations.length, "violation")),
		     el("table", {}, el("tr", {}, el("th", {}, "check"), el("th", {}, "where"), el("th", {}, "what")),
			...audit.violations.map((violation) => el("tr", {}, el("td", {}, violation.check), el("td", {}, link(violation)), el("td", {}, violation.text)))))
		: el("p", {}, "No violation."),
	audit.checks.length ? el("table", {}, el("tr", {}, el("th", {}, "check"), el("th", {class: "n"}, "items"), el("th", {class: "n"}, "violations"), el("th", {}, "holds")),
		...audit.checks.map((check) => el("tr", {}, el("td", {}, check.name), el("td", {class: "n"}, check.items.toLocaleString("en")),
			el("td", {class: check.violations ? "n wrong" : "n"}, check.violations.toLocaleString("en")), el("td", {}, check.holds || "")))) : null);
}
if (data.audit)
	auditSection(data.audit);

/* Each CPU a lane; from top to bottom what ran, until it went wrong. */
function lanes(explore) {
	const vcpus = Array.from({length: explore.vcpus}, (_, i) => i);
	section("lanes", "Interleaving", el("p", {}, explore.text),
		el("div", {class: "scroll"}, el("table", {class: "lanes"}, el("tr", {}, ...vcpus.map((i) => el("th", {}, `vCPU ${i}`))),
			...explore.turns.map((turn, i) => el("tr", {class: i === explore.turns.length - 1 ? "end" : ""}, ...vcpus.map((vcpu) =>
				el("td", {class: vcpu === turn.vcpu ? "on" : ""}, vcpu === turn.vcpu ? turn.text : "")))))));
}
if (data.explore)
	lanes(data.explore);
