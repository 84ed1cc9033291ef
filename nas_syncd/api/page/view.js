// Making and mending elements. Text goes in as text only, never as markup.

import { ago, fullTime, prose, visible } from "./words.js";

export const $ = (id) => document.getElementById(id);

const given = (value) => value !== null && value !== undefined && value !== false;

/** Make an element. Functions are listeners; what is null or false is left out. */
export function h(tag, attributes, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (typeof value === "function") element.addEventListener(name, value);
		else if (given(value)) element.setAttribute(name, value);
	}
	element.append(...children.filter(given));
	return element;
}

export const p = (name, ...children) => h("p", { class: name }, ...children);
export const span = (name, ...children) => h("span", { class: name }, ...children);

export function icon(name) {
	const svg = $("icon").cloneNode(true);
	svg.removeAttribute("id");
	svg.firstElementChild.setAttribute("href", `#i-${name}`);
	return svg;
}

/** An outside text (a file's name, a path) that disturbs nothing around it. */
export const outside = (text) => h("bdi", {}, visible(text));

/** A date from ISO text (UTC without a zone); null for none, and for what is no date. */
export function date(text) {
	const parsed = new Date(/(Z|[+-]\d\d:\d\d)$/.test(text) ? text : `${text}Z`);
	return text && !Number.isNaN(parsed.getTime()) ? parsed : null;
}

export const timeElement = (when, text, name) =>
	h("time", { datetime: when.toISOString(), title: fullTime(when), class: name }, text);
export const agoElement = (when) => timeElement(when, ago(when), "ago");

export function tick() {
	for (const element of document.querySelectorAll(".ago")) {
		write(element, ago(new Date(element.dateTime)));
	}
}

/** Set a text, but only when it is another one: nothing is announced for nothing. */
export function write(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

export function show(element, visibly) {
	element.hidden = !visibly;
}

const signatures = new WeakMap();

/** Make *parent*'s children those of *items* (`[key, data]`); what did not change stays, as does the focus. */
export function keyed(parent, items, make) {
	const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
	const focus = parent.contains(document.activeElement) ? document.activeElement : null;
	const [key, act] = [focus?.closest("[data-key]")?.dataset.key, focus?.dataset.act];
	items.forEach(([id, data], place) => {
		const signature = JSON.stringify(data);
		let node = old.get(String(id));
		if (!node || signatures.get(node) !== signature) {
			const fresh = make(data);
			fresh.dataset.key = id;
			signatures.set(fresh, signature);
			node?.replaceWith(fresh);
			node = fresh;
		}
		old.delete(String(id));
		if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] || null);
	});
	for (const gone of old.values()) gone.remove();
	if (!focus || focus.isConnected) return;
	const heir = [...parent.children].find((child) => child.dataset.key === key);
	(heir?.querySelector(`[data-act="${act}"]`) || $("main")).focus();
}

export function facts(pairs) {
	const lines = pairs.filter(([, value]) => given(value) && value !== "");
	return h("dl", {}, ...lines.map(([label, ...value]) => h("div", {}, h("dt", {}, label), h("dd", {}, ...value))));
}

/** Why, and what to do about it. */
export function reasonLines(reason) {
	if (!reason) return [];
	return [p("reason", prose(reason.text)), reason.remedy && p("remedy", prose(reason.remedy))];
}
