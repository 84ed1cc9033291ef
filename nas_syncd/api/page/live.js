// The wire: calls with the token, and the daemon's event stream. Knows nothing of the page.

import { lang } from "./words.js";

const TOKEN = "nas-syncd.token";
const BACKOFF_SECONDS = [1, 2, 5, 10];
const SILENCE_MS = 25000; // the daemon's heartbeat comes every 15 s

export const token = {
	get: () => sessionStorage.getItem(TOKEN),
	set: (value) => sessionStorage.setItem(TOKEN, value),
};

/** An answer that is an error; status 0: there was none. */
const refusal = (status, detail) => Object.assign(new Error(detail), { status });
const noAnswer = (error) => {
	throw refusal(0, error.message);
};

async function open(path, { method, query, headers = {}, signal }) {
	const url = `${path.replace(/^\//, "")}?${new URLSearchParams({ lang, ...query })}`;
	if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
	const answer = await fetch(url, { method, headers, signal, cache: "no-store" }).catch(noAnswer);
	if (answer.ok) return answer;
	const problem = await answer.json().catch(() => ({}));
	throw refusal(answer.status, String(problem.detail || answer.status));
}

/** Call and return the JSON. `seconds` is how long the answer may take. */
export async function call(path, { seconds = 6, ...options } = {}) {
	const answer = await open(path, { ...options, signal: AbortSignal.timeout(seconds * 1000) });
	return answer.json().catch(noAnswer);
}

/** Return what takes an event stream's chunks; `tell(event, data, id)` hears of each whole event. */
function parser(tell) {
	let [rest, event, data, id] = ["", "", [], null];
	return (chunk) => {
		const lines = (rest + chunk).split(/\r\n|\n|\r(?!$)/);
		rest = lines.pop();
		for (const line of lines) {
			const [, name, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
			if (name === "event") event = value;
			else if (name === "data") data.push(value);
			else if (name === "id") id = value;
			else if (line === "") {
				if (data.length) tell(event, data.join("\n"), id);
				[event, data] = ["", []];
			}
		}
	};
}

/**
 * Keep in touch for ever: `sync/now`, then the stream, again and again. *on* has now(data), event(name,
 * data), lost(refusal, since), token(). Returned: `check` notices silence, `retry` ends a pause.
 */
export function follow(on) {
	let [last, heardAt, current, retry] = [null, new Date(), null, () => {}];

	async function stream() {
		current = new AbortController();
		const headers = { "Last-Event-ID": last };
		const answer = await open("sync/events", { headers, signal: current.signal });
		const feed = parser((name, data, id) => {
			last = id || last;
			on.event(name, JSON.parse(data));
		});
		const text = new TextDecoder();
		for (const reader = answer.body.getReader(); ; ) {
			const { done, value } = await reader.read();
			if (done) return;
			heardAt = new Date();
			feed(text.decode(value, { stream: true }));
		}
	}

	async function forever() {
		for (let failures = 0; ; ) {
			const begun = Date.now();
			try {
				const now = await call("sync/now");
				heardAt = new Date();
				last = Math.max(0, ...now.recent.map(({ seq }) => seq));
				on.now(now);
				await stream().catch(({ status }) => status);
				// A stream that lived is opened again at once; one that never does is as good as a poll.
				failures = Date.now() - begun > 5000 ? 0 : failures + 1;
				if (failures < 2) continue;
			} catch (error) {
				failures += 1;
				if (error.status === 401) {
					await on.token();
					continue;
				}
				if (error.status === undefined) console.error(error);
				on.lost(error, heardAt);
			}
			const seconds = BACKOFF_SECONDS[Math.min(failures, BACKOFF_SECONDS.length) - 1];
			await new Promise((done) => {
				retry = done;
				setTimeout(done, seconds * 1000);
			});
		}
	}

	forever();
	return {
		check() {
			if (Date.now() - heardAt < SILENCE_MS) return;
			on.lost(refusal(0), heardAt);
			current?.abort();
		},
		retry: () => retry(),
	};
}
