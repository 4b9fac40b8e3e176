/**
 * Names of properties that must stay as they are when the client for pages is made small: those of
 * the platform, those that users see, and those that also occur as text, as in `'ttl' in options` or
 * `TAGS[message.type]`. Every other name is known to our own code alone.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What objects of the platform have that are no instances of a class, or not in Node.js. */
const OF_THE_WEB = (
  'binaryType readyState onopen onmessage onerror onclose send close data reason code ' +
  'location protocol host WebSocket crypto once fatal ignoreBOM read written cause unref ' +
  'next done value return throw get set enumerable writable configurable'
).split(' ')

/** What a validator of the Standard Schema interface has. */
const OF_SCHEMAS = ['validate', 'value', 'issues', 'message', 'path', 'key']

/** `folders` hold the code, `declarations` are what users see of it. */
export function keptNames(folders: readonly string[], declarations: readonly string[]): string[] {
  const names = new Set([...OF_THE_WEB, ...OF_SCHEMAS])
  addNamesOfPlatform(names)
  for (const path of declarations) {
    for (const [name] of withoutComments(path).matchAll(/[\w$]+/g)) names.add(name)
  }
  for (const path of folders.flatMap(modulesIn)) {
    const quoted = withoutComments(path).matchAll(/(['"`])([\w$]+)\1/g)
    for (const [, , name = ''] of quoted) names.add(name)
  }
  return Array.from(names)
}

/** Names of everything global, and of all that it and its instances have. */
function addNamesOfPlatform(names: Set<string>): void {
  for (const name of Object.getOwnPropertyNames(globalThis)) {
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

function modulesIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.js')).map((name) => join(folder, name))
}

function withoutComments(path: string): string {
  return readFileSync(path, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/ .*$/gm, '')
}
