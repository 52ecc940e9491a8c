// What gradio's pictures lack for people who use a keyboard or a screen reader: names, and arrow keys on the slider.
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

  function improve() {
    document.querySelectorAll(".image-container button:not([aria-label])").forEach(name);
    document.querySelectorAll('.image-container img:not([alt]), .image-container img[alt=""]').forEach(name);
    document.querySelectorAll('[data-testid="slider"]:not([tabindex])').forEach((handle) => {
      makeSlider(handle);
      name(handle);
    });
  }

  new MutationObserver(improve).observe(document.documentElement, { childList: true, subtree: true });
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
