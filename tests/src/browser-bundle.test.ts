/**
 * What a page has to load to use kv.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { bundleForPage } from './browser/bundle.js'
import { ROOT } from './tidy/source-files.js'

const BUILT = join(ROOT, 'packages', 'client', 'dist', 'browser.min.js')

/** Of everything: the client, the protocol, and whatever they import. Wanted are 25,000 (ADR 0032). */
const GZIP_BYTES_MAX = 33_250

describe('the client in a page', () => {
  test('is made of the client and the protocol, and imports nothing', () => {
    const { sources } = JSON.parse(readFileSync(`${BUILT}.map`, 'utf8')) as { sources: string[] }
    const own = /^\.\.\/(?:\.\.\/protocol\/)?src\//
    expect(sources.filter((source) => !own.test(source))).toEqual([])
    expect(sources.filter((source) => /-node\.ts$|plain-value\.ts$/.test(source))).toEqual([])
    expect(readFileSync(BUILT, 'utf8')).not.toMatch(/\bimport\b|\brequire\b/)
  })

  test(`everything together → at most ${GZIP_BYTES_MAX} bytes gzipped`, async () => {
    const { code, modules } = await bundleForPage(`
      import * as kv from '@kv/client'
      globalThis.kv = kv
    `)
    const others = modules.filter((id) => !id.startsWith('\0') && !id.endsWith('the-page.js'))
    expect(others).toEqual([BUILT])
    expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(GZIP_BYTES_MAX)
    expect(gzipSync(readFileSync(BUILT), { level: 9 }).length).toBeLessThanOrEqual(GZIP_BYTES_MAX)
  })
})
