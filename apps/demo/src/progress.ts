/**
 * How far a piece of work is: one line that is painted again on a terminal, a plain line now and
 * then elsewhere, and in the end one line that stays, with how long it took.
 */
import { pad } from './columns.js'
import { perSecond, seconds, whole } from './figures.js'
import type { Terminal } from './terminal.js'

const BAR_COLUMNS = 24
const LABEL_COLUMNS = 8
const COUNT_COLUMNS = 8
const REPAINT_MS = 50
/** Doubles with every plain line: long work does not fill a log. */
const FIRST_PLAIN_LINE_MS = 2_000

export interface Work {
  readonly label: string
  readonly total: number
  /** What one of it is, for the rate: `writes`. */
  readonly unit: string
}

export class Progress {
  readonly #terminal: Terminal
  readonly #work: Work
  readonly #startMs = performance.now()
  #count = 0
  #shownMs: number
  #pauseMs: number

  constructor(terminal: Terminal, work: Work) {
    this.#terminal = terminal
    this.#work = work
    this.#shownMs = this.#startMs
    this.#pauseMs = terminal.isLive ? REPAINT_MS : FIRST_PLAIN_LINE_MS
  }

  advance(count: number): void {
    this.#count += count
    const nowMs = performance.now()
    if (nowMs - this.#shownMs < this.#pauseMs) return
    this.#shownMs = nowMs
    if (!this.#terminal.isLive) this.#pauseMs *= 2
    this.#show()
  }

  /** Prints the line that stays. */
  finish(): void {
    const elapsedMs = performance.now() - this.#startMs
    const rate = `${whole(perSecond(this.#count, elapsedMs))} ${this.#work.unit}/s`
    this.#terminal.line(`${this.#bar()}   ${seconds(elapsedMs)}   ${rate}`)
  }

  #show(): void {
    const { label, total } = this.#work
    const percent = Math.floor(this.#share() * 100)
    if (this.#terminal.isLive) {
      this.#terminal.pass(`${this.#bar()} of ${whole(total)}   ${percent} %`)
    } else {
      const so = `${whole(this.#count)} of ${whole(total)} (${percent} %)`
      this.#terminal.line(pad(label, LABEL_COLUMNS) + so)
    }
  }

  /** Label, bar and count. */
  #bar(): string {
    const start = pad(this.#work.label, LABEL_COLUMNS)
    const count = pad(whole(this.#count), COUNT_COLUMNS, 'right')
    if (!this.#terminal.isLive) return start + count
    const filled = Math.round(this.#share() * BAR_COLUMNS)
    const done = this.#terminal.paint('cyan', '━'.repeat(filled))
    const open = this.#terminal.paint('dim', '─'.repeat(BAR_COLUMNS - filled))
    return `${start}${done}${open}  ${count}`
  }

  #share(): number {
    const { total } = this.#work
    return total === 0 ? 1 : this.#count / total
  }
}

/** Shows the progress of the work while it runs; what it throws is passed on. */
export async function withProgress<Result>(
  terminal: Terminal,
  work: Work,
  run: (progress: Progress) => Promise<Result>,
): Promise<Result> {
  const progress = new Progress(terminal, work)
  try {
    const result = await run(progress)
    progress.finish()
    return result
  } finally {
    // Whatever says why the work ended early begins on an empty line.
    terminal.write('')
  }
}
