// The months by type, a grid for each year: one stop for the Tab key, then the arrow keys.

import { $, h, keyed, show, span, write } from "./view.js";
import { capital, has, monthNames, num, t, visible } from "./words.js";

const NUMBERS = Array.from({ length: 12 }, (_, index) => String(index + 1).padStart(2, "0"));
const OPEN_YEARS = 2;

const typeName = (type) => (has(`type.${type}`) ? t(`type.${type}`) : visible(type));
const total = (cells, key) => cells.reduce((all, one) => all + one[key], 0);

function look({ documents, safe }) {
	if (!documents) return "empty";
	return safe === documents ? "all" : safe ? "some" : "none";
}

const lacks = ({ documents, safe }) => (safe < documents ? t("missing", { n: documents - safe }) : t("all"));

/** Show `GET /sync/months`'s answer; *inherited*: some marks are not proven. */
export function showMonths({ months, types }, inherited) {
	const years = {};
	for (const one of months) (years[one.month.slice(0, 4)] ||= {})[one.month.slice(5)] = one.types;
	const names = Object.keys(years).sort().reverse();
	write($("months-hint"), inherited ? t("months_marked") : "");
	show($("months-card"), names.length);
	const cell = document.activeElement.dataset.cell;
	keyed($("months"), names.map((year) => [year, { year, months: years[year], types }]), (data) => {
		const old = $(`y${data.year}`);
		const fold = oneYear(data);
		fold.id = `y${data.year}`;
		fold.open = old ? old.open : names.indexOf(data.year) < OPEN_YEARS;
		return fold;
	});
	if (cell) document.querySelector(`[data-cell="${CSS.escape(cell)}"]`)?.focus();
}

function oneYear({ year, months, types }) {
	const numbers = year ? NUMBERS : [""];
	const used = Object.values(months).flatMap(Object.keys);
	const rows = [...new Set([...types.filter((type) => used.includes(type)), ...used])];
	const counts = (number, type) => ({ documents: 0, safe: 0, ...months[number]?.[type] });
	const sum = (cells) => ({ documents: total(cells, "documents"), safe: total(cells, "safe") });
	const monthly = numbers.map((number) => sum(rows.map((type) => counts(number, type))));
	const all = sum(monthly);
	const title = year || t("undated");
	const lines = rows.map((type, row) => [
		h("span", { role: "rowheader" }, typeName(type)),
		...numbers.map((number, column) => gridCell(counts(number, type), year, number, type, row + column)),
	]);
	const header = [h("span", { role: "columnheader" }), ...numbers.map((number) => columnHeader(year, number))];
	return h(
		"details",
		{ class: "year" },
		h(
			"summary",
			{},
			h("h3", {}, title),
			h("span", { class: "strip", "aria-hidden": "true" }, ...monthly.map((one) => box("i", one))),
			span("muted", t("documents", { n: all.documents })),
			span(`state ${look(all)}`, lacks(all)),
		),
		h("div", { class: "grid", role: "grid", "aria-label": title }, ...[header, ...lines].map((line) => h("div", { role: "row" }, ...line))),
	);
}

function columnHeader(year, number) {
	const [brief, narrow, long] = year ? monthNames(`${year}-${number}`) : Array(3).fill(t("undated"));
	return h("span", { role: "columnheader", "aria-label": long }, span("wide", brief), span("narrow", narrow));
}

function box(tag, counts, attributes) {
	const element = h(tag, { ...attributes, class: `cell ${look(counts)}` });
	element.style.setProperty("--part", `${(100 * counts.safe) / counts.documents || 0}%`);
	return element;
}

function gridCell(counts, year, number, type, place) {
	const { documents, safe } = counts;
	const words = documents ? t("cell", { safe, total: documents, state: lacks(counts) }) : t("empty");
	const month = year ? capital(monthNames(`${year}-${number}`)[2]) : t("undated");
	const element = box("span", counts, {
		role: "gridcell",
		tabindex: place ? -1 : 0,
		"aria-label": words,
		"data-cell": `${year} ${number} ${type}`,
		"data-tip": `${typeName(type)}, ${month}`,
	});
	const missing = documents - safe;
	if (missing) element.append(span("wide", `${num(safe)}/${num(documents)}`), span("narrow", missing > 99 ? "!" : missing));
	else if (documents) element.append(span("wide", num(documents)));
	return element;
}

/** The arrow keys, and the tip that says more of the box that is pointed at. */
export function watchMonths() {
	const hide = () => show($("tip"), false);
	const point = ({ target }) => {
		const cell = target.closest("[data-tip]");
		if (cell) tell(cell);
		else hide();
	};
	const does = { pointerover: point, focusin: point, pointerleave: hide, focusout: hide, click: ({ target }) => rove(target.closest("[data-tip]")) };
	for (const [name, listener] of Object.entries(does)) $("months").addEventListener(name, listener);
	$("months").onkeydown = (event) => {
		if (event.key === "Escape") hide();
		if (event.target.dataset.tip && rove(neighbour(event.target, event.key))) event.preventDefault();
	};
}

function tell(cell) {
	const tip = $("tip");
	tip.replaceChildren(h("b", {}, cell.dataset.tip), span("", cell.ariaLabel));
	show(tip, true);
	const [around, at] = [tip.offsetParent, cell].map((element) => element.getBoundingClientRect());
	const left = at.left + at.width / 2 - around.left - tip.offsetWidth / 2;
	tip.style.setProperty("left", `${Math.max(8, Math.min(left, around.width - tip.offsetWidth - 8))}px`);
	tip.style.setProperty("top", `${at.top - around.top - tip.offsetHeight - 8}px`);
}

function rove(cell) {
	if (!cell) return false;
	cell.closest(".grid").querySelector("[tabindex='0']").tabIndex = -1;
	cell.tabIndex = 0;
	cell.focus();
	return true;
}

function neighbour(cell, key) {
	const cells = [...cell.closest(".grid").querySelectorAll("[data-tip]")];
	const columns = cell.parentElement.childElementCount - 1;
	const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
	return step && cells[cells.indexOf(cell) + step];
}
