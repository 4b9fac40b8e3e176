// What the client for pages is made of: each byte of the built file is charged with the bits that gzip
// spends on it, and those of each module are added up. After `npm run build`:
//
//   node scripts/page-bytes.mjs             modules, the largest first
//   node scripts/page-bytes.mjs watch-hub   the lines of the modules whose path contains this
import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { gzipSync, deflateRawSync } from 'node:zlib'
import { bitsPerByte } from './deflate-costs.mjs'

const BUILT = new URL('../packages/client/dist/browser.min.js', import.meta.url)
const part = process.argv[2]

const bytes = readFileSync(BUILT)
const payload = JSON.parse(readFileSync(`${BUILT.pathname}.map`, 'utf8'))
const map = new SourceMap(payload)
const bits = bitsPerByte(deflateRawSync(bytes, { level: 9 }), bytes.length)

/** Module → its bits, by line. */
const modules = new Map()
let line = 0
let column = 0
for (let at = 0; at < bytes.length; at += 1) {
  const { originalSource: source = 'what the bundler added', originalLine = 0 } = map.findEntry(
    line,
    column,
  )
  const lines = modules.get(source) ?? new Map()
  modules.set(source, lines)
  lines.set(originalLine, (lines.get(originalLine) ?? 0) + bits[at])
  const isLineEnd = bytes[at] === 0x0a
  line = isLineEnd ? line + 1 : line
  column = isLineEnd ? 0 : column + 1
}

const bitsOf = (lines) => Array.from(lines.values()).reduce((sum, each) => sum + each, 0)
const inBytes = (some, digits) => (some / 8).toFixed(digits).padStart(7)
if (part === undefined) {
  const sorted = Array.from(modules).toSorted(([, one], [, other]) => bitsOf(other) - bitsOf(one))
  for (const [source, lines] of sorted) console.log(inBytes(bitsOf(lines), 0), source)
  console.log(String(gzipSync(bytes, { level: 9 }).length).padStart(7), 'gzipped')
} else {
  for (const [source, lines] of modules) if (source.includes(part)) printLines(source, lines)
}

function printLines(source, lines) {
  const text = payload.sourcesContent[payload.sources.indexOf(source)] ?? ''
  console.log(`\n${inBytes(bitsOf(lines), 0)} ${source}`)
  for (const [number, content] of text.split('\n').entries()) {
    console.log(inBytes(lines.get(number) ?? 0, 1), content)
  }
}
