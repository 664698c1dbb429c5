// An import or export, watched: asks how far it is, and loads the page anew when it has ended, because then
// there is a report to read.

const EVERY = 1000;
const root = document.querySelector("[data-job]");

function part(name) {
  return root.querySelector(`[data-job-${name}]`);
}

function show(job) {
  part("state").textContent = job.words;
  part("state").className = `state ${job.state}`;
  part("count").textContent = job.total ? `${job.records} / ${job.total}` : String(job.records);
  if (job.percent === null) part("progress").removeAttribute("value");
  else part("progress").value = job.percent;
  part("message").textContent = "";
}

async function ask() {
  try {
    const answer = await fetch(root.dataset.job, { headers: { Accept: "application/json" } });
    if (answer.redirected || !answer.ok) throw new Error(String(answer.status));
    const job = await answer.json();
    show(job);
    if (!job.is_active) {
      location.reload();
      return;
    }
  } catch {
    part("message").textContent = root.dataset.lost;
  }
  setTimeout(ask, EVERY);
}

if (root) setTimeout(ask, EVERY / 2);
