/** Keys, help, and the start of it all. */
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
  const whole = players.map((player) => !player.inTurn && player.about.tracks.find((track) => track.alone))
    .find(Boolean);
  const keys = [
    ["Space", "play and pause"],
    ["1 … 9", mixes ? "hear that track only, or all again" : "hear that one"],
    ...(whole ? [["0", `hear the ${whole.name}`]] : []),
    ["← →", "seek; with Shift further"], ["[ ]", "the loop begins, ends here"],
    ["Esc", "no loop"],
  ];
  const about = players.map((player) => player.about);
  const lanes = about.some((one) => one.tracks.some((track) => Object.keys(track.lanes).length));
  const maps = about.some((one) => one.maps.length);
  const text = "Each track shows its waveform and the power of its frequencies, low to high on a "
    + "logarithmic scale" + (lanes ? "; below, where it plays, and how sure the masks are." : ".")
    + (maps ? " A map of tokens has a row a level, the first at the top: a color is a code, the lighter the "
      + "higher the sound in which it occurs." : "");
  return make("details", { open: innerWidth > 720 }, make("summary", {}, "Keys and pictures"),
    make("p", {}, ...keys.flatMap(([key, what]) => [make("kbd", {}, key), ` ${what}  `])),
    make("p", {}, text, mixes ? " Solo with Shift adds a track to those heard." : ""));
}

let active = null;
const players = [];
const build = { table: buildTable, picture: buildPicture };
const parts = [];
for (const about of data.parts) {
  if (about.kind === "player") {
    players.push(new Player(about));
    parts.push(players.at(-1).element);
  } else if (about.kind === "table" && !about.folded) {
    // tables stand beside each other where there is room
    if (parts.at(-1)?.className !== "tables") parts.push(make("div", { className: "tables" }));
    parts.at(-1).append(buildTable(about));
  } else parts.push(build[about.kind](about));
}
if (players.length) activate(players[0]);
document.getElementById("page").replaceChildren(
  make("h1", {}, data.title), ...data.notes.map((note) => make("p", {}, note)),
  ...parts, ...(players.length ? [help()] : []));
document.addEventListener("keydown", pressed);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const player of players) player.draw();
});
// for tests, and for whoever looks at the page from its console
window.audiomask = { players, audioContext };
