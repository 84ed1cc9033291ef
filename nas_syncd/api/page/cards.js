// The parts of the page: each function brings one of them to what the daemon said last.

import { obstacle, parts, verdict } from "./verdict.js";
import { $, agoElement, date, facts, h, icon, keyed, outside, p, reasonLines, show, span, timeElement, write } from "./view.js";
import { ago, capital, duration, moment, num, prose, size, t, visible } from "./words.js";

const FLYING = 5;
const SIGNS = { synced: "safe", failed: "trouble", refused: "trouble", nothing: "asking" };

const since = (text) => date(text) && t("since", { since: moment(date(text)) });
const numbered = ({ id }) => t("document", { id: visible(id) });
const called = (one) => visible(one.name || numbered(one));
const named = (one) => span("name", h("bdi", {}, called(one)));

/** Show state and sentence; return them for who listens. *left*: how long it will take. */
export function showHero(now, link, left) {
	const { kind, lead, rest } = verdict(now, link);
	if (left && kind === "working") rest.push(left);
	const tail = rest.length ? `${rest.reduce((one, other) => t("and", { one, other }))}.` : "";
	const sentence = tail ? t("and", { one: lead, other: tail }) : lead;
	$("hero").className = `hero ${kind}`;
	$("seal").setAttribute("href", `#i-${kind === "ready" ? "safe" : kind}`);
	write($("word"), t(`state.${kind}`));
	keyed($("sentence"), [["", { lead, tail }]], () => span("", span("lead", lead), tail && span("sr", "; "), tail && span("rest", tail)));
	document.title = `${lead} – nas-syncd`;
	return { kind, sentence };
}

export function showFigures(status) {
	show($("figures"), status?.total_documents);
	if (!status?.total_documents) return;
	const counts = Object.entries(parts(status)).filter(([name, count]) => count || name === "safe");
	keyed($("bar"), counts.map(([name]) => [name, name]), (name) => h("i", { class: name }));
	counts.forEach(([, count], place) => $("bar").children[place].style.setProperty("--grow", count));
	keyed($("parts"), counts.map((one) => [one[0], one]), ([name, count]) =>
		h("li", {}, h("i", { class: name }), h("b", {}, num(count)), ` ${t(`part.${name}`)}`),
	);
	const last = date(status.last_sync);
	keyed($("last"), last ? [["", last]] : [], () => span("", t("last_sync"), " ", agoElement(last)));
}

export function showTroubles({ database, uploads }) {
	const { path } = uploads;
	const all = [
		["database", { ...database, what: "database" }],
		["uploads", { ...uploads, what: "uploads" }],
		["warning", { what: "uploads", reason: uploads.warning, path }],
	];
	keyed($("troubles"), all.filter(([, { reason }]) => reason), (one) =>
		h(
			"section",
			{ class: one.since ? "card bad" : "card", "aria-label": t(one.what) },
			h("h2", {}, t(one.what)),
			...reasonLines(one.reason),
			p("muted", one.path && outside(one.path), " ", since(one.since)),
		),
	);
}

export function showNas(mount) {
	const { state, usable, source, path, free_bytes: free, total_bytes: total } = mount;
	const kind = usable ? "safe" : state === "unknown" ? "asking" : "trouble";
	const checked = date(mount.checked_at);
	$("nas").classList.toggle("bad", kind === "trouble");
	keyed($("nas-body"), [["", mount]], () =>
		h(
			"div",
			{},
			p(`status ${kind}`, icon(kind), span("", h("b", {}, capital(t(`why.${state}`))), usable ? "" : ` ${since(mount.since)}`)),
			...(usable ? [] : reasonLines(mount.reason)),
			usable && total && space(free, total),
			facts([
				[t("source"), source && outside(source)],
				[t("path"), path && outside(path)],
				[t("checked"), checked && agoElement(checked)],
			]),
		),
	);
}

function space(free, total) {
	const used = Math.round(100 * Math.max(0, Math.min(1, 1 - free / total)));
	const words = t("of", { done: size(free), total: size(total) });
	const fill = h("i", { class: used > 95 ? "tight" : "good" });
	fill.style.setProperty("width", `${used}%`);
	const meter = { class: "meter", role: "meter", "aria-label": t("space"), "aria-valuenow": used, "aria-valuetext": words };
	return h("div", { class: "space" }, span("", t("space")), span("", words), h("div", meter, fill));
}

export function showActivity(now) {
	const flying = now.in_flight.slice(0, FLYING);
	const known = flying.map(({ id, name }) => [id, { id, name }]);
	keyed($("flying"), known, (one) =>
		h("li", {}, named(one), span("muted", numbered(one)), h("progress", { "aria-label": called(one) }), span("muted")),
	);
	flying.forEach(({ done, total }, place) => {
		const [, , bar, words] = $("flying").children[place].children;
		bar.value = total ? Math.min(1, done / total) : 0;
		write(words, t("of", { done: size(done), total: size(total) }));
	});
	const queued = now.queued - flying.length;
	const idle = flying.length ? "" : t(obstacle(now) ? "paused" : "idle");
	write($("idle"), queued > 0 ? t("queued", { n: queued }) : idle);
	const rowless = now.no_row.map(({ path }) => visible(path)).join(", ");
	write($("no-row"), rowless && `${t("no_row", { n: now.no_row.length })} ${rowless}`);
	const waiting = now.status?.waiting;
	show($("waiting"), waiting);
	write($("waiting-title"), t("waiting", { n: waiting || 0 }));
}

export function showRecent(fates) {
	show($("recent-card"), fates.length);
	keyed($("recent"), fates.map((one) => [one.seq, one]), (fate) => {
		const { kind, destination, reason, at } = fate;
		const outcome = kind === "nothing" ? "" : t(kind === "synced" ? "part.safe" : "part.failed");
		return h(
			"li",
			{ class: kind },
			span("mark", icon(SIGNS[kind]), span("sr", outcome)),
			span("what", named(fate), span("muted", destination ? outside(destination) : reason && prose(reason.text))),
			span("when muted", timeElement(date(at), moment(date(at))), span("effort", effort(fate) || numbered(fate))),
		);
	});
}

const effort = ({ kind, bytes, seconds }) =>
	kind === "synced" && `${size(bytes)} ${t("took", { time: duration(seconds) })}`;

/** Show *lines* (DocumentLine) in *list*; `act` has why(line) and retry(line, button). */
export function showLines(list, lines, act) {
	keyed(list, lines.map((line) => [line.id, line]), (line) => {
		const next = date(line.next_attempt);
		const sign = { problem: "trouble", failed: "waiting" }[line.state];
		const button = (key) =>
			h("button", { "data-act": key, "aria-label": `${t(key)} ${called(line)}`, click: ({ currentTarget }) => act[key](line, currentTarget) }, t(key));
		return h(
			"li",
			{},
			p("head", sign && span(`tag ${line.state}`, icon(sign), t(line.state)), named(line), line.name && span("muted", numbered(line))),
			...reasonLines(line.reason),
			p("muted", outside(line.file_path), " · ", since(line.since), next && ` · ${t("next_attempt", { when: ago(next) })}`),
			p("actions", sign && button("retry"), button("why")),
		);
	});
}
