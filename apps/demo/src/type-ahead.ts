/**
 * Finds cities while somebody types: one scan through the client per key pressed. A key that comes
 * before the scan of the last one is done aborts it.
 *
 * What is painted is one block of lines. The cursor rests on its first line, behind the text, so
 * painting again is: clear from here down, write, go back up.
 */
import { emitKeypressEvents } from 'node:readline'
import type { ReadStream } from 'node:tty'
import type { Keyspace } from '@kv/client'
import type { CitySchema, NamedCity } from './cities.js'
import { clip, pad, widthOf } from './columns.js'
import { counted, milliseconds, whole } from './figures.js'
import type { Key } from './prompt.js'
import { press } from './prompt.js'
import type { Found } from './search.js'
import { search } from './search.js'
import type { Terminal } from './terminal.js'

const CITIES_SHOWN = 10
/** Lines of the block besides the cities, and one that stays free above. */
const OTHER_LINES = 3
const COUNTRY_COLUMNS = 24
const POPULATION_COLUMNS = 12
const PROMPT = '› '
const INDENT = '  '
const HINT = 'Type the beginning of a name. Enter, Esc or Ctrl-C ends.'

const COUNTRIES = new Intl.DisplayNames(['en'], { type: 'region' })

type Finder = Pick<Keyspace<CitySchema>, 'list'>

export class TypeAhead {
  readonly #kv: Finder
  readonly #terminal: Terminal
  #text = ''
  #found: Found | undefined
  #scan: AbortController | undefined
  #finish: (error?: unknown) => void = () => undefined

  constructor(kv: Finder, terminal: Terminal) {
    this.#kv = kv
    this.#terminal = terminal
  }

  /** Resolves when somebody leaves with Enter, Esc or Ctrl-C; rejects if a scan fails. */
  async run(input: ReadStream, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const onKey = (_character: string | undefined, key: Key): void => this.#onKey(key)
    const onEnd = (): void => this.#finish()
    const onAbort = (): void => this.#finish(signal.reason)
    const onResize = (): void => this.#paint()
    const ended = new Promise<void>((resolve, reject) => {
      this.#finish = (error) => (error === undefined ? resolve() : reject(error as Error))
    })
    emitKeypressEvents(input)
    input.setRawMode(true)
    input.on('keypress', onKey).on('end', onEnd).resume()
    signal.addEventListener('abort', onAbort)
    process.on('SIGWINCH', onResize)
    this.#paint()
    try {
      await ended
    } finally {
      process.off('SIGWINCH', onResize)
      signal.removeEventListener('abort', onAbort)
      input.off('keypress', onKey).off('end', onEnd).setRawMode(false).pause()
      this.#scan?.abort()
      this.#leaveBlock()
    }
  }

  #onKey(key: Key): void {
    const typed = press(this.#text, key)
    if (typed.type === 'leave') {
      this.#finish()
      return
    }
    if (typed.text === this.#text) return
    this.#text = typed.text
    this.#scan?.abort()
    if (typed.text === '') this.#found = undefined
    else this.#look(typed.text)
    this.#paint()
  }

  #look(text: string): void {
    const scan = new AbortController()
    this.#scan = scan
    search(this.#kv, text, { limit: CITIES_SHOWN, signal: scan.signal }).then(
      (found) => {
        if (scan.signal.aborted) return
        this.#found = found
        this.#paint()
      },
      (error: unknown) => {
        if (!scan.signal.aborted) this.#finish(error)
      },
    )
  }

  #paint(): void {
    const lines = this.#lines()
    const column = widthOf(INDENT + PROMPT + this.#text)
    const up = lines.length > 1 ? `\u001b[${lines.length - 1}A` : ''
    this.#terminal.write(`\r\u001b[J${lines.join('\n')}${up}\r\u001b[${column}C`)
  }

  /** The block stays; what comes next is written below it. */
  #leaveBlock(): void {
    this.#terminal.write(`\r\u001b[${this.#lines().length - 1}B\n`)
  }

  #lines(): string[] {
    const prompt = `${INDENT}${this.#terminal.paint('cyan', PROMPT)}${this.#text}`
    const found = this.#found
    if (found === undefined) return [prompt, `${INDENT}${this.#terminal.paint('dim', HINT)}`]
    const room = Math.max(1, this.#terminal.rows - OTHER_LINES)
    const cities = found.cities
      .slice(0, room)
      .map((city) => cityLine(city, this.#terminal.columns - 1))
    const count = counted(found.total, 'city', 'cities')
    const scanned = `${count} in ${milliseconds(found.elapsedMs)}`
    const status = this.#terminal.paint('dim', scanned)
    return [prompt, ...cities, `${INDENT}${INDENT}${status}`]
  }
}

/** Name, country and population, within so many columns. */
export function cityLine({ name, country, population }: NamedCity, columns: number): string {
  const others = COUNTRY_COLUMNS + POPULATION_COLUMNS + INDENT.length * 4
  const nameColumns = Math.max(8, Math.min(36, columns - others))
  const line = [
    INDENT + INDENT + pad(clip(name, nameColumns), nameColumns),
    pad(clip(countryName(country), COUNTRY_COLUMNS), COUNTRY_COLUMNS),
    pad(whole(population), POPULATION_COLUMNS, 'right'),
  ].join(INDENT)
  return clip(line, columns)
}

/** `BR` → `Brazil`. */
export function countryName(code: string): string {
  return COUNTRIES.of(code) ?? code
}
