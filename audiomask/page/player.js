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
    const maps = about.maps.map((map) => this.buildMap(map));
    this.element = make("section", { className: "player", "aria-label": about.title }, bar,
      make("dl", { className: "facts", hidden: !facts.length }, ...facts),
      make("div", { className: "scale" }, make("span", {}, "Click to seek, drag to loop"), this.ruler),
      ...this.rows.map((row) => row.element), ...maps.map((map) => map.element));
    this.element.addEventListener("pointerdown", () => activate(this));
    this.element.addEventListener("focusin", () => activate(this));
    this.views = [this.ruler, ...[...this.rows, ...maps].map((row) => row.view)];
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

  buildMap(map) {
    const view = make("div", { className: "view", role: "img", "aria-label": `Map of ${map.name}, levels: ${map.levels}` },
      make("img", { className: "codes", src: map.picture, alt: "", draggable: false }));
    view.style.setProperty("--levels", map.levels);
    this.listen(view);
    const head = make("div", { className: "head" }, make("strong", {}, map.name), make("small", {}, map.remark));
    return { view, element: make("div", { className: "track", role: "group", "aria-label": map.name }, head, view) };
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
      this.engine.setGain(number, heard ? row.volume * this.about.tracks[number].gain : 0);
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
