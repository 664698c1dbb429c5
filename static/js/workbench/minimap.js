/** The whole of a long text at its right edge: where the spans are, and the unsure ones. A help for the hand. */

const WIDTH = 14;
/** Only where the text is longer than this many windows. */
const LONG = 2.5;
const RESTS_MS = 150;

export class Minimap {
  #isDue = false;
  #tops = null;
  #rows = null;
  #settled = null;

  constructor(canvas, view) {
    this.canvas = canvas;
    this.view = view;
    this.page = view.root.closest(".wb-page");
    this.page.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.due({ moved: true })).observe(this.page);
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#scroll(event);
    });
    canvas.addEventListener("pointermove", (event) => event.buttons && this.#scroll(event));
  }

  /** Only the window moves; what came into view has its true height, and is asked for it afterwards. */
  #scrolled() {
    this.#frame();
    this.due({ moved: true });
  }

  /** Look at the spans again, once the hand rests. `moved`: the text may stand elsewhere than before. */
  due({ moved = false } = {}) {
    if (moved) this.#tops = null;
    clearTimeout(this.#settled);
    this.#settled = setTimeout(() => {
      this.#rows = null;
      this.#frame();
    }, RESTS_MS);
  }

  #frame() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#paint();
    });
  }

  #paint() {
    const { canvas, page, view } = this;
    const isLong = page.scrollHeight > page.clientHeight * LONG && Boolean(view.review?.text);
    canvas.hidden = !isLong;
    page.classList.toggle("has-map", isLong);
    if (!isLong) return;
    const { clientHeight: height } = canvas;
    if (canvas.height !== height) Object.assign(canvas, { width: WIDTH, height });
    const brush = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    const colours = { shown: style.borderInlineStartColor, sure: style.color, unsure: style.outlineColor };
    const scale = height / page.scrollHeight;
    brush.clearRect(0, 0, WIDTH, height);
    brush.fillStyle = colours.shown;
    brush.fillRect(0, page.scrollTop * scale, WIDTH, Math.max(6, page.clientHeight * scale));
    this.#rows ??= this.#find(scale);
    const { sure, unsure } = this.#rows;
    brush.fillStyle = colours.sure;
    for (const row of sure) brush.fillRect(4, row, 6, 1);
    brush.fillStyle = colours.unsure;
    for (const row of unsure) brush.fillRect(2, row - 1, 10, 2);
  }

  /** The rows that hold spans; many spans share one. */
  #find(scale) {
    const { review } = this.view;
    this.#tops ??= this.view.tops();
    const [sure, unsure] = [new Set(), new Set()];
    let piece = 0;
    for (const span of review.ordered) {
      while (this.#tops[piece + 1]?.start <= span.start) piece += 1;
      const { start, end, top, height } = this.#tops[piece];
      const row = Math.round((top + (height * (span.start - start)) / Math.max(1, end - start)) * scale);
      if (span.state !== "rejected" && review.isShown(span)) (review.isUnsure(span) ? unsure : sure).add(row);
    }
    return { sure, unsure };
  }

  #scroll(event) {
    const { canvas, page } = this;
    const share = (event.clientY - canvas.getBoundingClientRect().top) / canvas.clientHeight;
    page.scrollTop = share * page.scrollHeight - page.clientHeight / 2;
  }
}
