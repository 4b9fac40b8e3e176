import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test, vi } from 'vitest'
import { createClient } from './browser.js'

afterEach(() => {
  vi.unstubAllGlobals()
})

/** Everything that the file imports when it runs, and what those files import. */
function importsOf(file: string, found: Set<string> = new Set()): Set<string> {
  const source = readFileSync(file, 'utf8')
  const statements = /^(?:import|export) (type )?(?:\{[^}]*\}|\*|\w+) from '([^']+)'$/gm
  for (const [, isType, specifier] of source.matchAll(statements)) {
    if (isType !== undefined) continue
    const path = specifier!.startsWith('.')
      ? join(dirname(file), specifier!.replace(/\.js$/, '.ts'))
      : specifier!
    if (found.has(path)) continue
    found.add(path)
    if (path.endsWith('.ts')) importsOf(path, found)
  }
  return found
}

test.each(['browser.ts', 'memory/index.ts'])('%s: what it imports → only the protocol', (file) => {
  const entry = fileURLToPath(new URL(file, import.meta.url))
  const packages = [...importsOf(entry)].filter((path) => !path.endsWith('.ts'))
  expect(packages).toEqual(['@kv/protocol'])
})

test('browser entry: no WebSocket anywhere → TypeError that says so', () => {
  vi.stubGlobal('WebSocket', undefined)
  expect(() => createClient('kv://host')).toThrow(TypeError)
})

test.each([
  ['https:', 'shop.example', 'wss://shop.example'],
  ['http:', 'localhost:8080', 'ws://localhost:8080'],
])('browser entry: a page of %s//%s → connects to %s', async (protocol, host, url) => {
  const dialed: string[] = []
  class Socket {
    constructor(address: string) {
      dialed.push(address)
      throw new Error('not in this test')
    }
  }
  vi.stubGlobal('WebSocket', Socket)
  vi.stubGlobal('location', { protocol, host })
  const kv = createClient()
  await expect(kv.connect()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  await kv.close()
  expect(dialed).toEqual([`${url}/`])
})
