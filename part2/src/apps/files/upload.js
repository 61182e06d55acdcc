
const form = document.querySelector("form"), bar = form.querySelector("progress");
const button = form.querySelector("button"), said = form.querySelector("output");
form.addEventListener("submit", event => {
  const size = Array.from(form.file.files).reduce((sum, file) => sum + file.size, 0);
  event.preventDefault();
  if (size > Number(form.dataset.most)) {
    said.textContent = "That is more than the server takes at once.";
    return;
  }
  const request = new XMLHttpRequest();
  const stop = text => { said.textContent = text; button.disabled = false; bar.hidden = true; };
  request.upload.onprogress = step => {
    bar.value = step.loaded / (step.total || 1);
    said.textContent = Math.floor(100 * bar.value) + " %";
  };
  request.upload.onload = () => { said.textContent = "Sent. The server is storing it."; };
  request.onerror = () => stop("The connection was lost. Nothing was stored.");
  request.onload = () => {
    if (!/^text\/html/.test(request.getResponseHeader("Content-Type"))) return stop(request.responseText);
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    document.documentElement.replaceWith(page.documentElement);
  };
  request.open("POST", form.action);
  request.send(new FormData(form));
  button.disabled = true;
  bar.hidden = false;
});
