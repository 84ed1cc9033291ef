// "Why?": all that is known of one document, in a dialog.

import { call } from "./live.js";
import { $, agoElement, date, facts, h, outside, p, reasonLines, span } from "./view.js";
import { fullTime, has, size, t, visible } from "./words.js";

/** Ask about *wanted* (an id or a path) and show the answer. */
export async function explain(wanted) {
	const body = $("explain-body");
	$("explain-title").replaceChildren(outside(wanted));
	body.replaceChildren(p("muted", t("state.asking")));
	if (!$("explain").open) $("explain").showModal();
	try {
		const answer = await call("sync/explain", { query: { wanted }, seconds: 40 });
		body.replaceChildren(...told(answer));
		if (answer.documents.length === 1) $("explain-title").replaceChildren(...title(answer.documents[0]));
	} catch (error) {
		body.replaceChildren(p("", t("failed_call", { text: visible(error.message) })));
	}
}

function title({ id, name }) {
	const numbered = t("document", { id: visible(id) });
	return name ? [outside(name), span("muted", numbered)] : [numbered];
}

function told({ documents, error, no_row }) {
	const parts = error ? reasonLines({ text: error.message, remedy: error.remedy }) : [];
	if (no_row) parts.push(p("reason", visible(no_row)));
	for (const one of documents) {
		if (documents.length > 1) parts.push(h("h3", {}, ...title(one)));
		parts.push(...story(one));
	}
	return parts.filter(Boolean);
}

function story({ decision, next, file, receipt, history }) {
	const place = receipt ? null : decision.destination || decision.candidates[0];
	return [
		...reasonLines(decision),
		facts([
			[t("next"), visible(next)],
			[t("receipt"), receipt && proof(receipt)],
			[t("place"), place && outside(place)],
			[t("file"), file.path && outside(file.path), file.size === null ? null : h("small", {}, size(file.size))],
		]),
		history.length && h("h3", {}, t("history")),
		h("ol", { class: "history" }, ...history.map(event)),
	];
}

function proof({ destination, sha256, received_at, valid }) {
	const at = fullTime(date(received_at));
	const words = t(valid ? "receipt_ok" : "receipt_old", { at });
	return span("", outside(destination), h("small", {}, words), h("small", {}, `SHA-256 ${visible(sha256)}`));
}

function event({ at, became, code, text }) {
	const state = has(`journal.${became}`) ? t(`journal.${became}`) : visible(became);
	const why = text || code;
	return h("li", {}, span("", state, why && h("small", {}, visible(why))), agoElement(date(at)));
}
