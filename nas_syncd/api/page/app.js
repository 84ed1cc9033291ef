// The page's life: it stays in touch with the daemon and hands what it hears to the parts.

import { showActivity, showFigures, showHero, showLines, showNas, showRecent, showTroubles } from "./cards.js";
import { explain } from "./explain.js";
import { call, follow, token } from "./live.js";
import { showMonths, watchMonths } from "./months.js";
import { $, show, tick, write } from "./view.js";
import { duration, lang, num, otherLang, t, visible } from "./words.js";

const FATES = 5;
const BAD = ["failed", "inherited"]; // endings of a run
const FIRST_LINES = 5;
const MORE_LINES = 20;
const CALM_MS = 4000; // months and lists are asked for at most this often
const VOICE_MS = 20000; // while only figures change, the sentence is read aloud at most this often

let now = null; // what GET /sync/now said last, and the stream since
let recent = [];
let months = null;
let link = { state: "asking" };
let rate = []; // what was safe when, for the time that is left
const busy = new Set(); // buttons whose work is under way
const retried = new Set(); // documents a person is waiting for

// -- drawing

let drawing = 0;
function draw() {
	drawing ||= setTimeout(drawNow, 100);
}

function drawNow() {
	drawing = 0;
	speak(showHero(now, link, timeLeft()));
	write($("link"), t(link.state === "up" ? "live" : `state.${link.state}`));
	$("link").className = `link ${link.state}`;
	document.body.classList.toggle("stale", link.state === "lost");
	if (!now) return;
	const inherited = now.status?.inherited || 0;
	for (const id of ["content", "actions", "search"]) show($(id), true);
	for (const id of ["sync", "test", "prove"]) $(id).disabled = link.state !== "up" || busy.has(id);
	show($("prove"), inherited);
	write($("inherited"), inherited ? t("inherited", { n: inherited }) : "");
	write($("about"), `nas-syncd ${visible(now.version)}`);
	showFigures(now.status);
	showTroubles(now);
	showNas(now.mount);
	showActivity(now);
	showRecent(recent);
	if (months) showMonths(months, inherited);
}

let voice = { at: 0 };
function speak({ kind, sentence }) {
	if (sentence === voice.sentence || (kind === voice.kind && Date.now() - voice.at < VOICE_MS)) return;
	voice = { kind, sentence, at: Date.now() };
	write($("voice"), sentence);
}

function timeLeft() {
	const [first, last] = [rate[0], rate.at(-1)];
	if (rate.length < 5 || last.safe <= first.safe) return null;
	const seconds = (last.left * (last.at - first.at)) / (last.safe - first.safe) / 1000;
	return seconds > 10 && t("left", { time: duration(seconds) });
}

// -- what is asked for now and then

/** Return what runs *work* soon, and at most every CALM_MS however often it is called. */
function calmly(work) {
	let [timer, next] = [0, 0];
	return (hurry) => {
		if (hurry) clearTimeout(timer);
		else if (timer) return;
		const wait = hurry ? 200 : Math.max(0, next - Date.now());
		timer = setTimeout(async () => {
			next = Date.now() + CALM_MS;
			await work().catch(() => {}); // the link tells; the next time brings it
			timer = 0;
		}, wait);
	};
}

const refreshMonths = calmly(async () => {
	months = await call("sync/months", { seconds: 30 });
	if (months.again) setTimeout(refreshMonths, 1000 * months.again);
	draw();
});

/** Return what refreshes the list *id* of the documents in *states*, as far as it was unfolded. */
function lines(id, states) {
	let wanted = FIRST_LINES;
	const refresh = calmly(async () => {
		const found = [];
		for (const state of states) {
			let page = {};
			do {
				const limit = Math.min(200, wanted + 1 - found.length);
				if (!limit) break;
				const cursor = page.cursor ? { cursor: page.cursor } : {};
				page = await call("sync/documents", { query: { state, limit, ...cursor } });
				found.push(...page.documents);
			} while (page.cursor);
		}
		showLines($(`${id}-list`), found.slice(0, wanted), { retry, why: (line) => explain(line.id) });
		show($(`${id}-more`), found.length > wanted);
		if (id === "problems") show($(id), found.length);
	});
	$(`${id}-more`).onclick = () => {
		wanted += MORE_LINES;
		refresh(true);
	};
	return refresh;
}

const refreshProblems = lines("problems", ["problem", "failed"]);
const refreshWaiting = lines("waiting", ["waiting"]);

function refresh(hurry) {
	refreshMonths(hurry);
	refreshProblems(hurry);
	if ($("waiting").open) refreshWaiting(hurry);
}
$("waiting").addEventListener("toggle", () => refresh(true));

// -- what the daemon says

function take(said) {
	const was = JSON.stringify(now?.status);
	now = { ...now, ...said };
	link = { state: "up" };
	const at = Date.now();
	if (now.status) {
		const { synced: safe, pending, problems } = now.status;
		rate = [...rate.filter((one) => at - one.at < 60000), { at, safe, left: pending - problems }];
	}
	if (JSON.stringify(now.status) !== was) refresh();
	draw();
}

function takeAll(said) {
	recent = said.recent.slice(0, FATES);
	rate = [];
	take(said);
	refresh(true);
}

const heard = {
	now: take,
	mount: (mount) => take({ mount }),
	missed: () => call("sync/now").then(takeAll, () => {}),
	fate(fate) {
		refresh(retried.delete(fate.id));
		if (fate.kind !== "waiting") recent = [fate, ...recent.filter(({ seq }) => seq !== fate.seq)].slice(0, FATES);
		draw();
	},
};

const wire = follow({
	now: takeAll,
	event: (name, data) => heard[name]?.(data),
	lost({ status, message }, since) {
		link = { state: "lost", since, detail: message, refused: status >= 400 && status < 500 };
		draw();
	},
	/** Ask for the token; the promise is kept when one was entered. */
	token() {
		const shown = (asking) => {
			show($("token"), asking);
			for (const id of ["hero", "content", "search"]) show($(id), !asking && (now || id === "hero"));
		};
		shown(true);
		write($("token-result"), token.get() ? t("token_wrong") : "");
		$("secret").focus();
		return new Promise((entered) => {
			$("token").onsubmit = (event) => {
				event.preventDefault();
				token.set($("secret").value);
				$("token").reset();
				shown(false);
				$("main").focus();
				entered();
			};
		});
	},
});

setInterval(() => {
	wire.check();
	tick();
	draw();
}, 1000);
for (const event of ["online", "focus"]) addEventListener(event, () => wire.retry());

// -- what a person asks for

function tell(line, text, kind = "") {
	write(line, text);
	line.className = `result ${kind}`;
}

const failed = ({ message }) => [false, t("failed_call", { text: visible(message) })];

/** Let the button *id* do *work*, which returns whether it went well and what to say. */
function press(id, work) {
	$(id).onclick = async () => {
		busy.add(id);
		tell($("result"), t("begun"));
		draw();
		const [good, text] = await work().catch(failed);
		tell($("result"), text, good ? "good" : "bad");
		busy.delete(id);
		show($("run"), false);
		draw();
	};
}

/** Begin a run and follow it; return its outcome in words: the *names* are its counts. */
async function run(path, query, names) {
	let [one, misses, wrong] = [await call(path, { method: "POST", query }), 0, ""];
	show($("run"), true);
	while (one.state === "running") {
		$("run").value = one.expected ? one.done / one.expected : 0;
		await new Promise((done) => setTimeout(done, 500));
		const next = await call(one.url, { query: { after: one.next } }).catch((error) => {
			if (error.status || (misses += 1) > 20) throw error;
		});
		one = next || one;
		wrong ||= one.ended.find(({ ending }) => BAD.includes(ending))?.text || "";
	}
	if (one.reason) return [false, t("stopped", { text: visible(`${one.reason.text}. ${one.reason.remedy || ""}`) })];
	one.safe = one.synced;
	const counts = names.filter((name) => one[name]).map((name) => `${num(one[name])} ${t(`part.${name}`, { n: one[name] })}`);
	return [!wrong && !one.failed, counts.length ? `${counts.join(", ")}. ${visible(wrong)}` : t("nothing")];
}

press("test", async () => {
	const { success, message } = await call("sync/test", { method: "POST", seconds: 60 });
	return [success, visible(message)];
});
press("sync", () => run("sync/run", { wait: false }, ["safe", "failed", "waiting"]));
press("prove", () => run("sync/runs", { inherited: true }, ["proven", "recopied", "failed", "waiting"]));

async function retry({ id }, button) {
	button.disabled = true;
	retried.add(id);
	const asked = call(`sync/documents/${encodeURIComponent(id)}/retry`, { method: "POST" });
	const [good, text] = await asked.then(() => [true, t("retried")], failed);
	tell($("problems-result"), text, good ? "good" : "bad");
	button.disabled = good;
}

$("search").onsubmit = (event) => {
	event.preventDefault();
	explain($("wanted").value.trim());
};
$("explain").onclick = ({ target }) => target.id === "explain" && target.close();

document.documentElement.lang = lang;
for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
for (const element of document.querySelectorAll("[data-label]")) element.ariaLabel = t(element.dataset.label);
$("wanted").placeholder = t("search");
$("language").href = `?lang=${otherLang}`;
$("language").lang = otherLang;
watchMonths();
drawNow();
