"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const HUES = [250, 150, 25, 335, 200, 85, 290, 55];
  /** The least drag that is a loop, in pixels. */
  const DRAG = 6;
  /** Seconds by which files that play together may drift apart. */
  const DRIFT = 0.04;

  /** Make an element: properties, attributes by their names with "-" or of ARIA, and content. */
  function make(tag, properties = {}, ...content) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element && !name.includes("-")) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...content);
    return element;
  }

  function clock(seconds, digits = 1) {
    const whole = Math.max(0, Number(seconds.toFixed(digits)));
    const rest = (whole % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
    return `${Math.floor(whole / 60)}:${rest}`;
  }

  let context = null;
  function audioContext() {
    const usual = data.rate >= 8000 && data.rate <= 96000;
    context ??= new AudioContext(usual ? { sampleRate: data.rate } : {});
    return context;
  }

  /** Plays embedded audio: decoded whole, and in sync to the sample. */
  class Decoded {
    constructor(tracks) {
      this.tracks = tracks;
      this.sources = [];
      this.gains = [];
    }

    async load() {
      if (this.buffers) return;
      const audio = audioContext();
      const buffers = await Promise.all(this.tracks.map((track) => {
        const text = atob(document.getElementById(track.audio).textContent);
        return audio.decodeAudioData(Uint8Array.from(text, (c) => c.charCodeAt(0)).buffer);
      }));
      for (const track of this.tracks) document.getElementById(track.audio).remove();
      this.master = audio.createGain();
      this.master.connect(audio.destination);
      this.nodes = this.tracks.map((track, number) => {
        const node = audio.createGain();
        node.gain.value = this.gains[number];
        node.connect(this.master);
        return node;
      });
      this.buffers = buffers;
    }

    async start(at, loop) {
      const audio = audioContext();
      await audio.resume();
      this.stop();
      this.begun = { when: audio.currentTime + 0.02, at, loop };
      this.sources = this.buffers.map((buffer, number) => {
        const source = audio.createBufferSource();
        source.buffer = buffer;
        if (loop) Object.assign(source, { loop: true, loopStart: loop.from, loopEnd: loop.to });
        source.connect(this.nodes[number]);
        source.start(this.begun.when, at);
        return source;
      });
    }

    stop() {
      for (const source of this.sources) {
        source.stop();
        source.disconnect();
      }
      this.sources = [];
    }

    time() {
      const { when, at, loop } = this.begun;
      const now = at + Math.max(0, audioContext().currentTime - when);
      return loop && now >= loop.to ? loop.from + ((now - loop.from) % (loop.to - loop.from)) : now;
    }

    setGain(number, value) {
      this.gains[number] = value;
      // no click, as the change takes some hundredths of a second
      this.nodes?.[number].gain.setTargetAtTime(value, audioContext().currentTime, 0.012);
    }
  }

  /** Plays the files beside the page, which may be long; in sync to some hundredths of a second. */
  class Streamed {
    constructor(tracks, failed) {
      this.sounds = tracks.map((track, number) => {
        const sound = make("audio", { preload: "metadata", src: track.address });
        sound.addEventListener("error", () => failed(number));
        return sound;
      });
    }

    async load() {}

    playable() {
      return this.sounds.filter((sound) => !sound.error);
    }

    async start(at, loop) {
      this.stop();
      this.loop = loop;
      for (const sound of this.playable()) sound.currentTime = at;
      await Promise.all(this.playable().map((sound) => sound.play().catch(() => {})));
      this.timer = setInterval(() => this.align(), 500);
    }

    /** Put files that have drifted away back beside the first. */
    align() {
      const [first, ...others] = this.playable();
      for (const sound of others) {
        if (Math.abs(sound.currentTime - first.currentTime) > DRIFT) {
          sound.currentTime = first.currentTime;
        }
      }
    }

    stop() {
      clearInterval(this.timer);
      for (const sound of this.sounds) sound.pause();
    }

    time() {
      const now = this.playable()[0]?.currentTime ?? 0;
      if (!this.loop || now < this.loop.to) return now;
      for (const sound of this.playable()) sound.currentTime = this.loop.from;
      return this.loop.from;
    }

    setGain(number, value) {
      this.sounds[number].volume = value;
    }
  }

  /** Tracks under one playhead. */
  class Player {
    constructor(about) {
      Object.assign(this, { about, at: 0, loop: null, playing: false, solo: new Set() });
      this.inTurn = about.tracks.every((track) => track.alone);
      if (this.inTurn) this.solo.add(about.tracks.length - 1);
      const embedded = about.tracks.every((track) => track.audio);
      this.engine = embedded
        ? new Decoded(about.tracks)
        : new Streamed(about.tracks, (number) => this.fail(number));
      this.build();
      this.mix();
      this.show();
    }

    build() {
      const { about } = this;
      this.button = make("button", { type: "button", className: "play", textContent: "Play" });
      this.button.addEventListener("click", () => this.toggle());
      this.clock = make("span", { className: "clock" });
      this.unloop = make("button", { type: "button", hidden: true });
      this.unloop.addEventListener("click", () => this.setLoop(null));
      this.said = make("span", { className: "said", "aria-live": "polite" });
      const bar = make("div", { className: "bar" }, this.button, this.clock,
        make("h2", {}, about.title), this.unloop, this.said);
      const facts = about.facts.map(([name, value]) =>
        make("div", {}, make("dt", {}, name), make("dd", {}, value)));
      this.ruler = make("div", {
        className: "ruler", tabIndex: 0, role: "slider", "aria-label": "Position",
        "aria-valuemin": 0, "aria-valuemax": about.seconds,
      });
      this.listen(this.ruler);
      let mixed = 0;
      this.rows = about.tracks.map((track, number) => {
        const key = track.alone && !this.inTurn ? 0 : ++mixed;
        return this.buildTrack(track, number, key);
      });
      this.element = make("section", { className: "player", "aria-label": about.title }, bar,
        make("dl", { className: "facts", hidden: !facts.length }, ...facts),
        make("div", { className: "scale" }, make("span", {}, "Click to seek, drag to loop"), this.ruler),
        ...this.rows.map((row) => row.element));
      this.element.addEventListener("pointerdown", () => activate(this));
      this.element.addEventListener("focusin", () => activate(this));
      this.views = [this.ruler, ...this.rows.map((row) => row.view)];
      for (const view of this.views) {
        for (const [from, to] of about.regions) {
          const region = make("div", { className: "region" });
          region.style.setProperty("--from", this.share(from - about.start));
          region.style.setProperty("--to", this.share(to - about.start));
          view.append(region);
        }
        view.append(make("div", { className: "loop", hidden: true }), make("div", { className: "cursor" }));
      }
      new ResizeObserver(() => this.draw()).observe(this.ruler);
    }

    buildTrack(track, number, key) {
      const row = { key, muted: false, volume: 1 };
      const label = this.inTurn ? "Listen" : "Solo";
      row.solo = make("button", { type: "button", textContent: label, "aria-label": `${label}: ${track.name}` });
      row.solo.addEventListener("click", (event) => this.toggleSolo(number, event.shiftKey));
      row.mute = make("button", { type: "button", textContent: "Mute", "aria-label": `Mute ${track.name}` });
      row.mute.addEventListener("click", () => {
        row.muted = !row.muted;
        this.mix();
      });
      row.slider = make("input", {
        type: "range", min: 0, max: 100, value: 100, title: "Volume", "aria-label": `Volume of ${track.name}`,
      });
      row.slider.addEventListener("input", () => {
        row.volume = (row.slider.value / 100) ** 2;
        this.mix();
      });
      const hint = key < 10 ? [" ", make("kbd", { className: "key" }, `[${key}]`)] : [];
      const remark = [`${track.level.toFixed(0).replace("-", "−")} dB`, track.remark].filter(Boolean).join(", ");
      row.remark = make("small", {}, remark);
      // what is compared stays as loud as it is
      const controls = this.inTurn ? [row.solo] : [row.solo, ...(track.alone ? [] : [row.mute]), row.slider];
      const head = make("div", { className: "head" }, make("strong", {}, track.name, ...hint), row.remark,
        ...controls);
      row.wave = make("canvas", { className: "wave" });
      row.lanes = Object.entries(track.lanes).map(([name, values]) => {
        const canvas = make("canvas", { className: "lane", title: name });
        return { canvas, values };
      });
      row.view = make("div", {
        className: "view", role: "img",
        "aria-label": [`Waveform and spectrogram of ${track.name}`, ...Object.keys(track.lanes)].join(", "),
      }, row.wave, make("img", { src: track.picture, alt: "", draggable: false }),
      ...row.lanes.map((lane) => lane.canvas));
      this.listen(row.view);
      row.element = make("div", { className: "track", role: "group", "aria-label": track.name }, head, row.view);
      row.element.style.setProperty("--hue", HUES[number % HUES.length]);
      row.peaks = new Int8Array(Uint8Array.from(atob(track.peaks), (c) => c.charCodeAt(0)).buffer);
      return row;
    }

    /** Seek where a view is clicked, loop where it is dragged over. */
    listen(view) {
      let from = null;
      const place = (event) => {
        const box = view.getBoundingClientRect();
        return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * this.about.seconds;
      };
      const dragged = (event) => Math.abs(event.clientX - from.x) >= DRAG;
      view.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        from = { x: event.clientX, time: place(event) };
        view.setPointerCapture(event.pointerId);
      });
      view.addEventListener("pointermove", (event) => {
        if (from && dragged(event)) this.showLoop(this.span(from.time, place(event)));
      });
      view.addEventListener("pointerup", (event) => {
        if (!from) return;
        if (dragged(event)) this.setLoop(this.span(from.time, place(event)));
        else this.seek(place(event));
        from = null;
      });
      view.addEventListener("pointercancel", () => {
        from = null;
        this.showLoop(this.loop);
      });
    }

    share(seconds) {
      return Math.min(1, Math.max(0, seconds / this.about.seconds));
    }

    span(one, other) {
      return { from: Math.min(one, other), to: Math.max(one, other) };
    }

    named(seconds) {
      return clock(this.about.start + seconds, this.about.seconds < 60 ? 2 : 1);
    }

    async toggle() {
      if (this.playing) this.pause();
      else await this.play();
    }

    async play() {
      for (const player of players) if (player !== this) player.pause();
      activate(this);
      this.playing = true;
      this.button.textContent = "Loading…";
      try {
        await this.engine.load();
        if (this.playing) await this.restart();
      } catch (error) {
        this.pause();
        this.say(`This browser cannot play it: ${error.message}`, true);
        return;
      }
      if (!this.playing) return this.engine.stop();
      this.button.textContent = "Pause";
      requestAnimationFrame(() => this.follow());
    }

    pause() {
      if (!this.playing) return;
      this.playing = false;
      if (this.started) this.at = this.engine.time();
      this.started = false;
      this.engine.stop();
      this.button.textContent = "Play";
      this.show();
    }

    /** Play from the playhead, or from the loop's beginning if it is elsewhere. */
    async restart() {
      const outside = this.loop && (this.at < this.loop.from || this.at >= this.loop.to);
      if (outside) this.at = this.loop.from;
      await this.engine.start(this.at, this.loop);
      this.started = true;
    }

    follow() {
      if (!this.playing) return;
      this.at = this.engine.time();
      if (this.at >= this.about.seconds) {
        this.pause();
        this.at = 0;
      } else {
        requestAnimationFrame(() => this.follow());
      }
      this.show();
    }

    seek(seconds) {
      this.at = Math.min(this.about.seconds - 0.001, Math.max(0, seconds));
      if (this.started) this.restart();
      this.show();
    }

    setLoop(loop) {
      if (this.started) this.at = this.engine.time();
      this.loop = loop && loop.to - loop.from >= 0.01 ? loop : null;
      if (this.started) this.restart();
      else if (this.loop) this.at = this.loop.from;
      const text = this.loop ? `${this.named(this.loop.from)} – ${this.named(this.loop.to)}` : "";
      this.unloop.hidden = !this.loop;
      this.unloop.textContent = `Loop ${text} ✕`;
      this.unloop.setAttribute("aria-label", `End the loop ${text}`);
      this.say(this.loop ? `Loop ${text}` : "No loop");
      this.showLoop(this.loop);
      this.show();
    }

    showLoop(loop) {
      for (const view of this.views) {
        const shade = view.querySelector(".loop");
        shade.hidden = !loop;
        if (!loop) continue;
        shade.style.setProperty("--from", this.share(loop.from));
        shade.style.setProperty("--to", this.share(loop.to));
      }
    }

    /** Hear one track only; with ``more`` the others that are solo stay so. */
    toggleSolo(number, more) {
      const { tracks } = this.about;
      const was = this.solo.has(number);
      // what is only heard alone leaves nothing beside it
      const kept = more && !tracks[number].alone ? [...this.solo].filter((n) => !tracks[n].alone) : [];
      this.solo = new Set(kept);
      if (!was || this.inTurn) this.solo.add(number);
      else this.solo.delete(number);
      this.mix();
      const names = [...this.solo].map((n) => tracks[n].name);
      this.say(names.length ? `Only ${names.join(", ")}` : "All");
    }

    mix() {
      this.rows.forEach((row, number) => {
        const solo = this.solo.has(number);
        const heard = this.solo.size ? solo : !row.muted && !this.about.tracks[number].alone;
        this.engine.setGain(number, heard ? row.volume : 0);
        row.element.classList.toggle("still", !heard);
        row.solo.setAttribute("aria-pressed", solo);
        row.mute.setAttribute("aria-pressed", row.muted);
      });
    }

    fail(number) {
      this.rows[number].remark.textContent = "This browser cannot play the file.";
      this.rows[number].remark.className = "fault";
    }

    say(text, visible = false) {
      this.said.textContent = text;
      this.said.className = visible ? "fault" : "said";
    }

    show() {
      const text = `${this.named(this.at)} of ${this.named(this.about.seconds)}`;
      this.clock.textContent = text.replace(" of ", " / ");
      this.ruler.setAttribute("aria-valuenow", this.at.toFixed(2));
      this.ruler.setAttribute("aria-valuetext", text);
      this.element.style.setProperty("--at", this.share(this.at));
    }

    draw() {
      this.drawRuler();
      for (const row of this.rows) {
        drawWave(row.wave, row.peaks);
        for (const lane of row.lanes) drawLane(lane.canvas, lane.values, this.about.seconds);
      }
    }

    drawRuler() {
      for (const old of this.ruler.querySelectorAll("span")) old.remove();
      const most = Math.max(2, Math.floor(this.ruler.clientWidth / 80));
      const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
      const step = steps.find((one) => this.about.seconds / one <= most) ?? 7200;
      const { start, seconds } = this.about;
      for (let n = Math.ceil(start / step); n * step < start + seconds; n++) {
        const tick = make("span", {}, clock(n * step, step < 1 ? 1 : 0));
        tick.style.left = `${100 * this.share(n * step - start)}%`;
        this.ruler.append(tick);
      }
    }
  }

  /** Fit a canvas to its place; returns what draws on it, in its color. */
  function brush(canvas) {
    const sharp = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * sharp;
    canvas.height = canvas.clientHeight * sharp;
    const pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(canvas).color;
    return pen;
  }

  function drawWave(canvas, peaks) {
    const pen = brush(canvas);
    const { width, height } = canvas;
    const columns = peaks.length / 2;
    const loudest = Math.max(8, ...peaks.map(Math.abs));
    for (let x = 0; x < width; x++) {
      const first = Math.floor((x * columns) / width);
      const stop = Math.max(first + 1, Math.floor(((x + 1) * columns) / width));
      const low = Math.min(...peaks.subarray(first, stop)) / loudest;
      const high = Math.max(...peaks.subarray(columns + first, columns + stop)) / loudest;
      pen.fillRect(x, (height * (1 - high)) / 2, 1, Math.max(1, (height * (high - low)) / 2));
    }
  }

  function drawLane(canvas, values, seconds) {
    const pen = brush(canvas);
    values.forEach((value, second) => {
      const [left, right] = [second, Math.min(second + 1, seconds)].map((s) => Math.round((s / seconds) * canvas.width));
      pen.globalAlpha = 0.08 + 0.92 * value;
      pen.fillRect(left, 0, right - left, canvas.height);
    });
  }

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !active) return;
    const { target, key } = event;
    const slides = target.matches?.("input[type=range]");
    const { seconds } = active.about;
    const step = (seconds > 60 ? 5 : seconds > 10 ? 1 : 0.25) * (event.shiftKey ? 5 : 1);
    if (key === " " && !target.closest?.("button, summary")) active.toggle();
    else if (key === "ArrowLeft" && !slides) active.seek(active.at - step);
    else if (key === "ArrowRight" && !slides) active.seek(active.at + step);
    else if (key === "Home" && !slides) active.seek(0);
    else if (key === "[") active.setLoop({ from: active.at, to: Math.max(seconds, active.loop?.to ?? 0) });
    else if (key === "]") active.setLoop({ from: active.loop?.from ?? 0, to: active.at });
    else if (key === "Escape") active.setLoop(null);
    else if (/^\d$/.test(key)) {
      const number = active.rows.findIndex((row) => row.key === Number(key));
      if (number < 0) return;
      active.toggleSolo(number, false);
    } else return;
    event.preventDefault();
  }

  /** Choose the player that keys are for. */
  function activate(player) {
    active = player;
    for (const one of players) one.element.classList.toggle("active", one === player);
  }

  function help() {
    const mixes = players.some((player) => !player.inTurn);
    const keys = [
      ["Space", "play and pause"],
      ["1 … 9", mixes ? "hear that track only, or all again" : "hear that one"],
      ...(mixes ? [["0", "hear the original"]] : []), ["← →", "seek; with Shift further"], ["[ ]", "the loop begins, ends here"],
      ["Esc", "no loop"],
    ];
    const lanes = data.players.some((player) => player.tracks.some((track) => Object.keys(track.lanes).length));
    const text = "Each track shows its waveform and the power of its frequencies, low to high on a "
      + "logarithmic scale" + (lanes ? "; below, where it plays, and how sure the masks are." : ".");
    return make("details", { open: innerWidth > 720 }, make("summary", {}, "Keys and pictures"),
      make("p", {}, ...keys.flatMap(([key, what]) => [make("kbd", {}, key), ` ${what}  `])),
      make("p", {}, text, mixes ? " Solo with Shift adds a track to those heard." : ""));
  }

  let active = null;
  const players = data.players.map((about) => new Player(about));
  if (players.length) activate(players[0]);
  document.getElementById("page").replaceChildren(
    make("h1", {}, data.title), ...data.notes.map((note) => make("p", {}, note)),
    ...players.map((player) => player.element), ...(players.length ? [help()] : []));
  document.addEventListener("keydown", pressed);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const player of players) player.draw();
  });
  // for tests, and for whoever looks at the page from its console
  window.audiomask = { players, audioContext };
})();
