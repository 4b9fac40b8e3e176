/** docs/limits.md against the code: every limit is in it, with its value and a test that there is (P7). */
import { describe, expect, test } from 'vitest'
import { readText, repositoryFiles } from './tidy/source-files.js'

const DECLARED =
  /^export const ([A-Z][A-Z0-9_]*_(?:MAX|SOFT)|PAUSE_BYTES)(?:: number)? = ([\d_ *]+)$/gm
const ANY = /^export const ([A-Z][A-Z0-9_]*_(?:MAX|SOFT))\b/gm
const OPTION = /^ {2}readonly (\w+Max)\?: number \| undefined$/gm
const ROW = /^\| (`.*?) +\| +(\S.*?) +\| .*? +\| .*? +\| `([\w.-]+)`: (.+?) +\|$/gm

const sources = (repositoryFiles() ?? []).filter((name) => name.endsWith('.ts'))
const shipped = sources.filter(
  (name) => /^packages\/\w+\/src\//.test(name) && !/\.test\.ts$|\/testing\//.test(name),
)
const document = readText('docs/limits.md') ?? ''
const rows = Array.from(
  document.matchAll(ROW),
  ([, names = '', value = '', file = '', title = '']) => ({
    names: Array.from(names.matchAll(/`([^`]+)`/g), ([, name = '']) => name),
    value,
    file,
    title,
  }),
)

function declarations(pattern: RegExp, files: readonly string[]): RegExpMatchArray[] {
  return files.flatMap((name) => Array.from((readText(name) ?? '').matchAll(pattern)))
}

/** In the forms that the tables use. */
function inWords(value: number): string[] {
  const words = [value.toLocaleString('en')]
  if (value % 1_048_576 === 0) words.push(`${value / 1_048_576} MiB`)
  else if (value % 1_024 === 0) words.push(`${value / 1_024} KiB`, `${value / 1_048_576} MiB`)
  if (value % 1_000 === 0) words.push(`${value / 1_000} s`)
  return words
}

describe('the limits document', () => {
  test('every limit that is exported is in it', () => {
    const missing = declarations(ANY, shipped)
      .map(([, name = '']) => name)
      .filter((name) => !document.includes(`\`${name}\``))
    expect(missing).toEqual([])
  })

  test('every setting of a limit is in it', () => {
    const node = declarations(OPTION, ['packages/node/src/config.ts']).map(
      ([, name]) => `limits.${name}`,
    )
    const client = declarations(OPTION, ['packages/client/src/settings.ts']).map(([, name]) => name)
    expect([node.length, client.length]).toEqual([6, 2])
    const listed = new Set(rows.flatMap(({ names }) => names))
    expect([...node, ...client].filter((name) => !listed.has(name ?? ''))).toEqual([])
  })

  test('each row has the value of the code', () => {
    const values = new Map<string, string[]>()
    for (const [, name = '', product = ''] of declarations(DECLARED, shipped)) {
      const value = product
        .split('*')
        .map((factor) => Number(factor.replaceAll('_', '')))
        .reduce((one, other) => one * other)
      // A name may stand for one thing here and another there.
      values.set(name, [...(values.get(name) ?? []), ...inWords(value)])
    }
    const wrong = rows
      .flatMap(({ names, value }) => names.map((name) => ({ name, value })))
      .filter(({ name, value }) => values.get(name)?.includes(value) === false)
    expect(wrong).toEqual([])
    expect(rows.length).toBeGreaterThan(60)
  })

  test('each row names a test that there is', () => {
    const lost = rows.filter(({ file, title }) => {
      const files = sources.filter((name) => name.endsWith(`/${file}`))
      return !files.some((name) => readText(name)?.includes(title))
    })
    expect(lost).toEqual([])
  })
})
