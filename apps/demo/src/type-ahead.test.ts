import { PassThrough } from 'node:stream'
import type { ReadStream } from 'node:tty'
import { describe, expect, it, vi } from 'vitest'
import type { NamedCity } from './cities.js'
import { fold, readCatalog } from './cities.js'
import { press } from './prompt.js'
import { searchCatalog } from './search.js'
import { Terminal } from './terminal.js'
import { TypeAhead, cityLine, countryName } from './type-ahead.js'

const catalog = readCatalog(5_000)

/** Lists the index as a node would. */
function finder(onScan: (prefix: string) => void = () => {}) {
  return {
    list: ({ prefix }: { readonly prefix: string }) => {
      onScan(prefix)
      const folded = prefix.slice('name:'.length)
      const values = [...catalog.names].filter(([name]) => name.startsWith(folded))
      return Object.assign(
        (async function* () {
          await Promise.resolve()
          for (const [name, value] of values) yield { key: `name:${name}`, value, version: 1 }
        })(),
        { cursor: undefined },
      )
    },
  } as unknown as ConstructorParameters<typeof TypeAhead>[0]
}

function open(onScan?: (prefix: string) => void) {
  const output = Object.assign(new PassThrough(), { isTTY: true, columns: 80, rows: 24 })
  let shown = ''
  output.on('data', (chunk: Buffer) => (shown += chunk.toString()))
  const isRaw: boolean[] = []
  const keyboard = Object.assign(new PassThrough(), {
    setRawMode(raw: boolean) {
      isRaw.push(raw)
      return keyboard
    },
  })
  const controller = new AbortController()
  const running = new TypeAhead(finder(onScan), new Terminal(output)).run(
    keyboard as unknown as ReadStream,
    controller.signal,
  )
  return { keyboard, running, controller, isRaw, shown: () => shown }
}

describe('TypeAhead', () => {
  it('typing → one scan a key, the cities found, and an end by Enter', async () => {
    const scans: string[] = []
    const { keyboard, running, isRaw, shown } = open((prefix) => scans.push(prefix))
    for (const key of 'São') {
      keyboard.write(key)
      await vi.waitFor(() => expect(scans.at(-1)).toBe(`name:${fold(shownSoFar(key))}`))
    }
    await vi.waitFor(() => expect(shown()).toContain('São Paulo'))
    expect(shown()).toContain('Brazil')
    keyboard.write('\r')
    await running
    expect(scans).toEqual(['name:s', 'name:sa', 'name:sao'])
    expect(isRaw).toEqual([true, false])
  })

  it('aborted from outside → rejects, and gives the keyboard back', async () => {
    const { running, controller, isRaw } = open()
    controller.abort(new Error('stopped by SIGTERM'))
    await expect(running).rejects.toThrow('stopped by SIGTERM')
    expect(isRaw).toEqual([true, false])
  })

  it('the keyboard ends → so does it', async () => {
    const { keyboard, running, isRaw } = open()
    keyboard.end()
    await running
    expect(isRaw).toEqual([true, false])
  })
})

/** What is typed once this key of `São` is. */
function shownSoFar(key: string): string {
  return 'São'.slice(0, 'São'.indexOf(key) + 1)
}

describe('press', () => {
  const key = (name: string, more: object = {}) => ({ name, sequence: name, ...more })

  it.each([
    ['sa', key('o'), 'sao'],
    ['sa', { sequence: 'ã' }, 'saã'],
    ['sao', { name: 'space', sequence: ' ' }, 'sao '],
    ['', { name: 'space', sequence: ' ' }, ''],
    ['saã', key('backspace', { sequence: '\u007f' }), 'sa'],
    ['saa\u0303', key('backspace', { sequence: '\u007f' }), 'sa'],
    ['', key('backspace', { sequence: '\u007f' }), ''],
    ['sao paulo', key('u', { ctrl: true, sequence: '\u0015' }), ''],
    ['sao paulo', key('w', { ctrl: true, sequence: '\u0017' }), 'sao '],
    ['sa', key('up', { sequence: '\u001b[A' }), 'sa'],
    ['sa', key('x', { meta: true, sequence: '\u001bx' }), 'sa'],
    ['x'.repeat(60), key('o'), 'x'.repeat(60)],
  ])('%j and %j → %j', (text, pressed, next) => {
    expect(press(text, pressed)).toEqual({ type: 'text', text: next })
  })

  it.each([
    key('return', { sequence: '\r' }),
    key('escape', { sequence: '\u001b' }),
    key('c', { ctrl: true, sequence: '\u0003' }),
    key('d', { ctrl: true, sequence: '\u0004' }),
  ])('%j → leave', (pressed) => {
    expect(press('sao', pressed)).toEqual({ type: 'leave' })
  })
})

describe('lines', () => {
  const [paulo] = searchCatalog(catalog, 'sao paulo', 1).cities as [NamedCity]

  it('a city → name, country, population', () => {
    expect(cityLine(paulo, 80)).toMatch(/^ {4}São Paulo +Brazil +10,021,295$/)
  })

  it('few columns → no line is longer', () => {
    for (const columns of [10, 40, 60, 79]) {
      expect(cityLine(paulo, columns).length).toBeLessThanOrEqual(columns)
    }
  })

  it('every country code of the package has a line, known or not', () => {
    const codes = new Set(readCatalog().cities.map(({ country }) => country))
    for (const code of codes) expect(countryName(code)).not.toBe('')
  })
})
