/**
 * The examples of a document, as a program: its `ts` blocks one after the other, with what their
 * comments say made into checks.
 *
 *     await kv.get('a') // → 1
 *     const entry = await kv.getEntry('a') // → { key: 'a', value: 1, version: … }
 *     await kv.set('a', 2, { ifVersion: null }) // → { ok: false, … }
 *     await kv.increment('a', 1, { max: 2 }) // → throws OUT_OF_RANGE
 *
 * A comment stands behind a statement of one line. `…` is anything, as a value or as further
 * fields. A client of `kv://127.0.0.1:7400`, or of no address, is one of the node of the test.
 */
const ADDRESS = /'kv:\/\/127\.0\.0\.1:7400'/g
const SAID = /^(\s*)(.*?\S)\s+\/\/ → (.*)$/
const PRELUDE = "import { ANYTHING, check, checkFailure, MORE } from './checks.js'\n"
/** So that no unused import is one. */
const EPILOGUE = '\nvoid [ANYTHING, check, checkFailure, MORE]\nexport {}\n'

interface Block {
  /** Number of its first line in the document, from 1. */
  readonly line: number
  readonly lines: readonly string[]
}

/** The program of a document, or `undefined` if it has no examples. */
export function exampleOf(name: string, markdown: string): string | undefined {
  const blocks = blocksOf(markdown)
  return blocks.length === 0 ? undefined : programOf(name, blocks)
}

/** The programs of a document whose examples do not build on each other. */
export function separateExamplesOf(name: string, markdown: string): string[] {
  return blocksOf(markdown).map((block) => programOf(name, [block]))
}

function programOf(name: string, blocks: readonly Block[]): string {
  const code = blocks.flatMap(({ line, lines }) =>
    lines.map((text, index) => checked(text, `${name}:${line + index}`)),
  )
  return PRELUDE + code.join('\n').replaceAll(ADDRESS, "process.env['KV_URL']!") + EPILOGUE
}

function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = []
  let open: { line: number; lines: string[] } | undefined
  for (const [index, text] of markdown.split('\n').entries()) {
    if (open === undefined) {
      if (text === '```ts') open = { line: index + 2, lines: [] }
    } else if (text === '```') {
      blocks.push(open)
      open = undefined
    } else {
      open.lines.push(text)
    }
  }
  return blocks
}

function checked(text: string, place: string): string {
  const [, indent = '', code = '', said = ''] = SAID.exec(text) ?? []
  if (code === '') return text
  const at = JSON.stringify(place)
  const [, failure] = /^throws (\w+)$/.exec(said) ?? []
  if (failure !== undefined) {
    return `${indent}await checkFailure(async () => ${code}, ${JSON.stringify(failure)}, ${at})`
  }
  const expected = said.replaceAll(/, …(?=\s*\})/g, ', [MORE]: true').replaceAll('…', 'ANYTHING')
  const [, variable] = /^(?:const|let) (\w+)\b[^=]*=/.exec(code) ?? []
  if (variable !== undefined) return `${indent}${code}; check(${variable}, ${expected}, ${at})`
  const [, printed = code] = /^console\.log\((.*)\)$/.exec(code) ?? []
  return `${indent}check(${printed}, ${expected}, ${at})`
}
