/**
 * Where the demo prints: headings and lines below them, in colour if the terminal has any.
 *
 * `NO_COLOR`, `FORCE_COLOR` and pipes are `styleText`'s to judge. A live terminal is one on which
 * a line can be painted again; anything else gets plain lines only.
 */
import type { Writable } from 'node:stream'
import { styleText } from 'node:util'

export type Style = Parameters<typeof styleText>[0]

export type Output = Writable & {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

const COLUMNS_DEFAULT = 80
const ROWS_DEFAULT = 24
const ERASE_LINE = '\r\u001b[K'

export class Terminal {
  readonly isLive: boolean
  readonly #output: Output
  #hasPassingLine = false

  constructor(output: Output) {
    this.#output = output
    this.isLive = output.isTTY === true && process.env['TERM'] !== 'dumb'
  }

  get columns(): number {
    return sizeOr(this.#output.columns, COLUMNS_DEFAULT)
  }

  get rows(): number {
    return sizeOr(this.#output.rows, ROWS_DEFAULT)
  }

  paint(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#output, validateStream: true })
  }

  write(text: string): void {
    const erase = this.#hasPassingLine ? ERASE_LINE : ''
    this.#hasPassingLine = false
    this.#output.write(erase + text)
  }

  /** Shows a line until something else is written; not at all where that can't be. */
  pass(text: string): void {
    if (!this.isLive) return
    this.write(`  ${text}`)
    this.#hasPassingLine = true
  }

  heading(text: string): void {
    this.write(`\n${this.paint('bold', text)}\n`)
  }

  line(text: string): void {
    this.write(`  ${text}\n`)
  }

  quiet(text: string): void {
    this.line(this.paint('dim', text))
  }

  good(text: string): void {
    this.line(`${this.paint('green', '✔')} ${text}`)
  }

  bad(text: string): void {
    this.line(`${this.paint('red', '✘')} ${text}`)
  }
}

/** A terminal that nobody has told its size says 0. */
function sizeOr(size: number | undefined, otherwise: number): number {
  return size === undefined || size === 0 ? otherwise : size
}
