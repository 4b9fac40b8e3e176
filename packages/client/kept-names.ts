/**
 * Names of properties that must stay as they are when the client for pages is made small: those of
 * what our code uses of the platform, those that users see, and those that also occur as text, as in
 * `'ttl' in options` or `TAGS[message.type]`. Every other name is known to our own code alone.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What objects of the platform have that are no instances of a class, or not in Node.js. */
const OF_THE_WEB = (
  'binaryType readyState onopen onmessage onerror onclose send close data reason code ' +
  'location protocol host WebSocket crypto once fatal ignoreBOM read written cause unref ' +
  'next done value return throw get set enumerable writable configurable'
).split(' ')

/** Of what code has instances without naming it: it writes them as literals, or is given them. */
const UNNAMED =
  'Object Function Array String Number Boolean BigInt RegExp Symbol Error Promise AbortSignal'.split(
    ' ',
  )

/** What a validator of the Standard Schema interface has. */
const OF_SCHEMAS = ['validate', 'value', 'issues', 'message', 'path', 'key']

/** Of a declaration: at the beginning of a line, or in braces within one; parameters are none. */
const MEMBER = /(?:^|[{;])\s*(?:readonly |get )?(\w+)\??[:(<]/gm

export interface Sources {
  /** The module that is made small, with all that it imports. */
  readonly entry: string
  /** Package → its module. */
  readonly packages: Readonly<Record<string, string>>
  /** What users see of it. */
  readonly declarations: readonly string[]
}

export function keptNames({ entry, packages, declarations }: Sources): string[] {
  const names = new Set([...OF_THE_WEB, ...OF_SCHEMAS])
  const code = Array.from(modulesFrom(entry, packages).values())
  addNamesOfPlatform(names, new Set([...UNNAMED, ...code.flatMap(wordsIn)]))
  for (const path of declarations) {
    for (const [, name = ''] of withoutComments(path).matchAll(MEMBER)) names.add(name)
  }
  for (const text of [...code, ...declarations.map(withoutComments)]) {
    for (const [, , name = ''] of text.matchAll(/(['"`])([\w$]+)\1/g)) names.add(name)
  }
  return Array.from(names)
}

/** Path → text, of a module and all it imports. */
function modulesFrom(entry: string, packages: Sources['packages']): Map<string, string> {
  const found = new Map<string, string>()
  const open = [entry]
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (found.has(path)) continue
    const text = withoutComments(path)
    found.set(path, text)
    for (const [, name = ''] of text.matchAll(/\bfrom '([^']+)'/g)) {
      open.push(packages[name] ?? join(dirname(path), name))
    }
  }
  return found
}

/** Behind a dot too: what is global is also reached by `globalThis`. */
function wordsIn(text: string): string[] {
  return text.match(/[\w$]+/g) ?? []
}

/** Of everything global that is `used`, its name and those of all that it and its instances have. */
function addNamesOfPlatform(names: Set<string>, used: ReadonlySet<string>): void {
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    if (!used.has(name)) continue
    names.add(name)
    const thing: unknown = name === 'process' ? undefined : Reflect.get(globalThis, name)
    addNamesOf(thing, names)
    if (typeof thing === 'function') addNamesOf(thing.prototype, names)
  }
}

function addNamesOf(thing: unknown, names: Set<string>): void {
  for (let at = thing; Object(at) === at && at !== globalThis; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) names.add(name)
  }
}

function withoutComments(path: string): string {
  return readFileSync(path, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/ .*$/gm, '')
}
