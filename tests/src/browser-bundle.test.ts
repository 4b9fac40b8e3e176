/**
 * What a page has to load to use kv.
 */
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { bundleForPage } from './browser/bundle.js'

/**
 * Of everything: the client, the protocol, and whatever they import. Wanted are 25,000. A sixth of
 * what there is are the texts of errors; the rest is spread evenly over what the client can do.
 */
const GZIP_BYTES_MAX = 40_000

describe('the client in a page', () => {
  test(`everything together → at most ${GZIP_BYTES_MAX} bytes gzipped, nothing of others`, async () => {
    const { code, modules } = await bundleForPage(`
      import * as kv from '@kv/client'
      globalThis.kv = kv
    `)
    const own = /\/packages\/(?:client|protocol)\/dist\/|the-page/
    const foreign = modules.filter((id) => !own.test(id) && !id.startsWith('\0'))
    expect(foreign).toEqual([])
    expect(modules.some((id) => id.endsWith('/client/dist/browser.js'))).toBe(true)
    expect(modules.filter((id) => /-node\.js$|\/plain-value\.js$/.test(id))).toEqual([])
    expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(GZIP_BYTES_MAX)
  })
})
