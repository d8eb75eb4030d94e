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
