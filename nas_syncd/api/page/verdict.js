// From what the daemon says to one state and one sentence. No elements here.

import { date } from "./view.js";
import { capital, has, moment, t, visible } from "./words.js";

const SHARE = /^(\/\/|\\\\|[a-z]+:\/\/|[\w.-]+:\/)/;

/** What stops everything, in a few words; null while nothing does. */
export function obstacle({ mount, uploads, database }) {
	if (!database.ok) return trouble("database", database.since);
	if (mount.state === "unknown") return null;
	if (!mount.usable) return trouble(mount.state, mount.since, mount);
	return uploads.reason ? trouble("uploads", uploads.since) : null;
}

function trouble(what, begun, { source, path } = {}) {
	const share = visible(SHARE.test(source) ? source : path);
	const remedy = has(`do.${what}`) && t(`do.${what}`, { share });
	return { why: t(`why.${what}`), since: moment(date(begun) || new Date()), remedy };
}

/** The documents by how they are; each is counted in one part only. */
export function parts({ synced, inherited, pending, ...status }) {
	const problems = Math.min(status.problems, pending);
	const waiting = Math.min(status.waiting, pending - problems);
	return { safe: Math.max(0, synced - inherited), inherited, coming: pending - problems - waiting, waiting, problems };
}

/** The state and the sentence: its first half says what is safe, the rest why that is not all. */
export function verdict(now, link) {
	if (link.state === "lost") return { kind: "lost", ...lost(now, link) };
	const stop = now && obstacle(now);
	if (now?.status) return said(now, stop);
	if (now?.database.ok === false) return { kind: "trouble", lead: capital(stop.why), rest: [] };
	return { kind: "asking", lead: t("state.asking"), rest: [] };
}

function lost(now, { since, detail, refused }) {
	if (refused) return { lead: t("refused"), rest: [visible(detail)] };
	if (now === null) return { lead: t("lost_never"), rest: [] };
	const at = { since: moment(since) };
	return { lead: t("lost", at), rest: [t("lost_rest", at)] };
}

function said(now, stop) {
	const { total_documents: total } = now.status;
	const part = parts(now.status);
	const rest = delays(part, total, stop);
	if (part.problems) rest.push(t("attention", { n: part.problems }));
	if (part.inherited) rest.push(t("unproven", { n: part.inherited }));
	return { kind: kindOf(now, part, stop), lead: lead(total, part.safe), rest };
}

function lead(total, safe) {
	if (total === 0) return t("none");
	if (safe === total) return t("all_safe", { n: total });
	return safe ? t("some_safe", { n: safe, total }) : t("none_safe", { n: total });
}

function delays({ coming, waiting }, total, stop) {
	if (stop) {
		const { why, since, remedy } = stop;
		const n = coming + waiting;
		return [t(n ? "because" : "will_wait", { n, why, since }), remedy].filter(Boolean);
	}
	const rest = total ? [] : [t("none_rest")];
	if (coming) rest.push(t("coming", { n: coming }));
	if (waiting) rest.push(t("waits", { n: waiting }));
	return rest;
}

function kindOf({ mount, in_flight, status }, { problems, coming, waiting, inherited }, stop) {
	if (stop || problems) return "trouble";
	if (mount.state === "unknown") return "asking";
	if (coming || in_flight.length) return "working";
	if (waiting) return "waiting";
	if (inherited) return "unproven";
	return status.total_documents ? "safe" : "ready";
}
