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
