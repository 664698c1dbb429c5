// A training run, watched: asks for its progress every two seconds and loads the page anew when it has ended,
// because then there is a verdict to read.

import { number, t } from "./i18n.js";

const EVERY = 2000;
const DECIMALS = { 1: { minimumFractionDigits: 1, maximumFractionDigits: 1 }, 3: { minimumFractionDigits: 3 } };
const root = document.querySelector("[data-run]");

function part(name) {
  return root.querySelector(`[data-run-${name}]`);
}

function addLine(line) {
  const time = document.createElement("time");
  time.dateTime = line.at;
  time.textContent = line.time;
  const message = document.createElement("span");
  message.textContent = line.message;
  const row = document.createElement("li");
  row.append(time, message);
  part("log").querySelector("[data-run-log-empty]")?.remove();
  part("log").append(row);
  part("log").scrollTop = part("log").scrollHeight;
  root.dataset.after = line.id;
}

function show(run) {
  const { step = 0, total, dev_f1: f1, loss, message } = run.progress;
  part("state").textContent = run.status_words;
  part("state").className = `state ${run.state}`;
  if (total) {
    part("progress").max = total;
    part("progress").value = step;
    part("steps").textContent = t("{step} of {total}", { step, total });
  }
  if (message) part("message").textContent = message;
  if (f1 !== undefined) part("f1").textContent = number(100 * f1, DECIMALS[1]);
  if (loss !== undefined) part("loss").textContent = number(loss, DECIMALS[3]);
  run.lines.forEach(addLine);
}

async function ask() {
  try {
    const answer = await fetch(`${root.dataset.run}?after=${root.dataset.after}`, {
      headers: { Accept: "application/json" },
    });
    if (answer.redirected || !answer.ok) throw new Error(String(answer.status));
    const run = await answer.json();
    show(run);
    if (!run.is_active) {
      location.reload();
      return;
    }
  } catch {
    part("message").textContent = t("nerapp does not answer at the moment; trying again.");
  }
  setTimeout(ask, EVERY);
}

setTimeout(ask, EVERY);
