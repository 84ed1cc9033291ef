// All that a hostile page can try against *base*. Returns what it got to know, by how it asked.
async ({ base, reading, working, files }) => {
  const read = {};
  const tell = (how, what) => {
    if (what) read[how] = String(what).slice(0, 2000);
  };
  const see = (how, what) => {
    try {
      tell(how, what());
    } catch {
      // another origin's
    }
  };

  // -- scripts that ask

  async function fetched(path, options) {
    const how = `fetch ${JSON.stringify(options)} ${path}`;
    try {
      const answer = await fetch(base + path, { credentials: "include", ...options });
      const body = await answer.text();
      tell(how, answer.type === "opaque" ? body : `${answer.status} ${body}`);
    } catch {
      // refused
    }
  }

  const xhr = (method, path) =>
    new Promise((done) => {
      const one = new XMLHttpRequest();
      one.open(method, base + path);
      one.withCredentials = true;
      one.onloadend = () => {
        tell(`xhr ${method} ${path}`, one.status && `${one.status} ${one.responseText}`);
        done();
      };
      one.send(method === "POST" ? "{}" : null);
    });

  const KINDS = ["text/plain", "application/x-www-form-urlencoded", "application/json"];
  async function work(path) {
    for (const mode of ["cors", "no-cors"]) {
      await fetched(path, { method: "POST", mode });
      for (const kind of KINDS) {
        const headers = { "Content-Type": kind };
        await fetched(path, { method: "POST", mode, headers, body: "{}" });
      }
    }
    await fetched(path, { method: "POST", headers: { Authorization: "Bearer guess" } });
    await fetched(path, { method: "PUT", headers: { "X-Any": "1" } });
    await xhr("POST", path);
    navigator.sendBeacon(base + path, "{}");
    navigator.sendBeacon(base + path, new Blob(["{}"], { type: "application/json" }));
  }

  const streamed = () =>
    new Promise((done) => {
      const stream = new EventSource(`${base}/sync/events`, { withCredentials: true });
      const end = (what) => {
        tell("EventSource", what);
        stream.close();
        done();
      };
      for (const kind of ["now", "fate", "message"]) stream.addEventListener(kind, ({ data }) => end(data));
      stream.onerror = () => end("");
    });

  const socketed = (path) =>
    new Promise((done) => {
      const one = new WebSocket(base.replace("http", "ws") + path);
      one.onopen = () => tell(`WebSocket ${path}`, "open");
      one.onmessage = ({ data }) => tell(`WebSocket ${path}`, data);
      one.onerror = one.onclose = done;
    });

  const worker = () =>
    new Promise((done) => {
      const code = `onmessage = async ({ data }) => {
        const read = [];
        for (const url of data) {
          try { importScripts(url); read.push("a script"); } catch {}
          try { const answer = await fetch(url); read.push(answer.status, await answer.text()); } catch {}
        }
        postMessage(read.join(" "));
      };`;
      const one = new Worker(URL.createObjectURL(new Blob([code])));
      one.onmessage = ({ data }) => {
        tell("worker", data);
        done();
      };
      one.onerror = done;
      one.postMessage(reading.map((path) => base + path));
    });

  // -- elements, frames, forms, windows

  const element = (kind, attributes, path, what) =>
    new Promise((done) => {
      const one = document.createElement(kind);
      const loaded = () => {
        see(`${kind} ${path}`, () => what(one));
        done();
      };
      const url = { link: "href", object: "data" }[kind] || "src";
      Object.assign(one, { ...attributes, onload: loaded, onloadedmetadata: loaded, onerror: done });
      one[url] = base + path;
      document.body.append(one);
      const refusedInSilence = kind === "iframe" || kind === "object"; // now and then
      setTimeout(done, refusedInSilence ? 1500 : 10000);
    });
  const text = (one) => one.contentDocument.body.innerText;

  const posted = (path, enctype, target) =>
    new Promise((done) => {
      const frame = document.createElement("iframe");
      frame.name = `${enctype} ${path}`;
      document.body.append(frame);
      frame.onload = () => {
        see(`form ${frame.name}`, () => text(frame));
        done();
      };
      const form = document.createElement("form");
      Object.assign(form, { action: base + path, method: "POST", enctype, target: target || frame.name });
      const field = document.createElement("input");
      Object.assign(field, { name: '{"a', value: '":1}' }); // JSON, as text/plain
      form.append(field);
      document.body.append(form);
      form.submit();
      setTimeout(done, 3000); // where the page's policy or the target says that nothing loads here
    });

  const opened = (path) =>
    new Promise((done) => {
      const other = window.open(base + path);
      const end = Date.now() + 10000;
      const look = () => {
        see(`window ${path}, its frames`, () => other.length);
        try {
          tell(`window ${path}`, other.document.body?.innerText);
        } catch {
          return done(); // it is another origin's by now, and stays it
        }
        if (!other.closed && !read[`window ${path}`] && Date.now() < end) return setTimeout(look, 50);
        other.close();
        done();
      };
      look();
    });

  const tries = [
    ...working.map(work),
    ...reading.flatMap((path) => [fetched(path, { mode: "cors" }), fetched(path, { mode: "no-cors" }), xhr("GET", path)]),
    ...[...reading, ...files].flatMap((path) => [
      element("script", {}, path, () => "loaded"),
      element("link", { rel: "stylesheet" }, path, ({ sheet }) => `${sheet.cssRules.length} rules`),
      element("link", { rel: "prefetch" }, path, () => ""),
      element("img", {}, path, (one) => one.naturalWidth),
      element("video", {}, path, (one) => one.duration),
    ]),
    ...["/", "/sync/status", "/sync/events", "/metrics"].flatMap((path) => [
      element("iframe", {}, path, text),
      element("iframe", {}, `${path}?lang=en`, (one) => one.contentWindow.length),
      element("object", {}, path, text),
    ]),
    ...working.flatMap((path) => [...KINDS.slice(0, 2), "multipart/form-data"].map((kind) => posted(path, kind))),
    posted(working[0], "text/plain", "_blank"),
    ...["/", "/sync/status"].map(opened),
    import(`${base}/page/app.js`).then(() => tell("import", "loaded")),
    import(`${base}/sync/status`, { with: { type: "json" } }).then((one) => tell("import json", one.default)),
    streamed(),
  ];
  for (const again of [worker, () => socketed("/sync/run"), () => socketed("/sync/events")]) {
    try {
      tries.push(again());
    } catch {
      // the page's own policy
    }
  }
  await Promise.allSettled(tries);
  see("how large they were", () =>
    performance
      .getEntriesByType("resource")
      .filter(({ name }) => name.startsWith(base))
      .map((one) => one.responseStatus || one.transferSize || one.encodedBodySize)
      .filter(Boolean)
      .join(" "),
  );
  return read;
};
