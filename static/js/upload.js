// A file, dropped or chosen, sent as it is while a bar says how far. Without this script the form sends it.

const form = document.querySelector("[data-drop]");

function part(name) {
  return form.querySelector(`[data-drop-${name}]`);
}

function problem(words) {
  part("problem").textContent = words;
  part("progress").hidden = true;
  part("submit").disabled = false;
}

function answerOf(request) {
  try {
    return JSON.parse(request.responseText);
  } catch {
    return {};
  }
}

function send(file) {
  if (file.size > Number(form.dataset.limit)) {
    problem(form.dataset.tooLarge);
    return;
  }
  const bar = part("progress").querySelector("progress");
  const request = new XMLHttpRequest();
  problem("");
  part("submit").disabled = true;
  part("progress").hidden = false;
  bar.removeAttribute("value");
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) bar.value = (100 * event.loaded) / event.total;
  });
  request.addEventListener("load", () => {
    const answer = answerOf(request);
    if (request.status === 201) location.assign(answer.url);
    else problem(answer.detail ?? form.dataset.failed);
  });
  request.addEventListener("error", () => problem(form.dataset.failed));
  request.open("POST", form.action);
  request.setRequestHeader("X-CSRFToken", form.elements.csrfmiddlewaretoken.value);
  request.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.send(file);
}

function watch() {
  const input = form.elements.file;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.files.length) send(input.files[0]);
  });
  for (const name of ["dragenter", "dragover"]) {
    form.addEventListener(name, (event) => {
      event.preventDefault();
      form.classList.add("over");
    });
  }
  form.addEventListener("dragleave", (event) => {
    if (!form.contains(event.relatedTarget)) form.classList.remove("over");
  });
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) send(file);
  });
}

if (form) watch();
