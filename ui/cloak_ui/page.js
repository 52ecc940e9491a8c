// What gradio's widgets lack for people who use a keyboard or a screen reader: names of pictures, roles, arrow keys on
// the slider and between radio buttons.
(() => {
  const title = (element) => element.closest(".block")?.querySelector('[data-testid="block-label"]')?.innerText.trim();

  function name(element) {
    const text = title(element);
    if (!text) return;
    if (element.tagName === "IMG") element.alt = text;
    else element.setAttribute("aria-label", text);
  }

  function drag(handle, distance) {
    const box = handle.getBoundingClientRect();
    const at = (x) => ({ bubbles: true, cancelable: true, view: window, clientX: x, clientY: box.y + box.height / 2 });
    const start = box.x + box.width / 2;
    handle.dispatchEvent(new MouseEvent("mousedown", at(start)));
    window.dispatchEvent(new MouseEvent("mousemove", at(start + distance)));
    window.dispatchEvent(new MouseEvent("mouseup", at(start + distance)));
  }

  function tell(handle) {
    const frame = handle.parentElement.getBoundingClientRect();
    const box = handle.getBoundingClientRect();
    const share = Math.round((100 * (box.x + box.width / 2 - frame.x)) / Math.max(1, frame.width));
    handle.setAttribute("aria-valuenow", Math.min(100, Math.max(0, share)));
  }

  function makeSlider(handle) {
    handle.tabIndex = 0;
    handle.setAttribute("role", "slider");
    tell(handle);
    handle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      drag(handle, (step * handle.parentElement.clientWidth) / 20);
      requestAnimationFrame(() => tell(handle));
    });
  }

  // Gradio gives each button a name of its own, anew with every change; arrow keys move between those that share one.
  let groups = 0;
  function unite(group) {
    const shared = (group.dataset.radios ??= `radios-${(groups += 1)}`);
    group.querySelectorAll(`input[type=radio]:not([name=${shared}])`).forEach((button) => (button.name = shared));
  }

  function improve() {
    // The symbol for more files is a button in a button; the outer one does nothing.
    document.querySelectorAll("button.icon-button:has(button, input):not([role])").forEach((button) => {
      button.setAttribute("role", "group");
      button.tabIndex = -1;
    });
    document.querySelectorAll("div.empty[aria-label]:not([role])").forEach((box) => box.setAttribute("role", "img"));
    document.querySelectorAll("fieldset:has(input[type=radio])").forEach(unite);
    document.querySelectorAll(".image-container button:not([aria-label])").forEach(name);
    document.querySelectorAll('.image-container img:not([alt]), .image-container img[alt=""]').forEach(name);
    document.querySelectorAll('[data-testid="slider"]:not([tabindex])').forEach((handle) => {
      makeSlider(handle);
      name(handle);
    });
  }

  new MutationObserver(improve).observe(document.documentElement, {
    childList: true,
    subtree: true,
    attributeFilter: ["name"],
  });
})();

// The buttons beside texts that are there to be copied. Without a secure address browsers offer only the old way.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const text = button.parentElement.querySelector("pre");
  try {
    await navigator.clipboard.writeText(text.textContent);
  } catch {
    getSelection().selectAllChildren(text);
    document.execCommand("copy");
  }
  const before = button.textContent;
  button.textContent = button.dataset.done;
  setTimeout(() => (button.textContent = before), 2000);
});

// What gradio sends to the page comes through a stream that the server closes when nothing is awaited any more. Whatever
// the page asks for at just that moment is lost: gradio believes the stream open and waits in it for ever. So the end
// of a stream is passed on only when nothing is awaited; otherwise the stream is opened again.
(() => {
  const plain = window.fetch;
  const awaited = new Set(); // events that the server has accepted
  const early = new Set(); // those that ended before the answer to their request was here
  let asked = 0; // requests without an answer so far

  async function join(...request) {
    asked += 1;
    try {
      const response = await plain(...request);
      const { event_id: event } = response.ok ? await response.clone().json() : {};
      if (event && !early.delete(event)) awaited.add(event);
      return response;
    } finally {
      asked -= 1;
    }
  }

  // Whether a message is to be passed on.
  function heard(message) {
    if (message.msg === "close_stream") return !asked && !awaited.size;
    if (message.msg === "process_completed" && !awaited.delete(message.event_id)) early.add(message.event_id);
    return true;
  }

  // Passes on the messages of a stream; true when it has to be opened again.
  async function pass(body, out) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    const encoder = new TextEncoder();
    let rest = "";
    for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
      const messages = (rest + value).split("\n\n");
      rest = messages.pop();
      for (const text of messages) {
        if (!heard(JSON.parse(text.slice("data:".length)))) return true;
        out.enqueue(encoder.encode(`${text}\n\n`));
      }
    }
    return false;
  }

  async function listen(...request) {
    const first = await plain(...request);
    if (!first.ok) return first;
    const body = new ReadableStream({
      async start(out) {
        try {
          let response = first;
          while ((await pass(response.body, out)) && (response = await plain(...request)).ok);
          out.close();
        } catch (error) {
          out.error(error);
        }
      },
    });
    return new Response(body, { status: first.status, headers: first.headers });
  }

  window.fetch = (...request) => {
    const { pathname } = new URL(request[0].url ?? request[0], location.href);
    if (pathname.endsWith("/queue/join")) return join(...request);
    if (pathname.endsWith("/queue/data")) return listen(...request);
    return plain(...request);
  };
})();
