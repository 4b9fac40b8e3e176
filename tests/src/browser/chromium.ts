/**
 * Finds a Chromium that starts: `KV_CHROMIUM`, Debian's, then the one that comes as an npm package.
 */
import { existsSync } from 'node:fs'
import type { Browser } from 'playwright-core'
import { chromium } from 'playwright-core'

const DEBIAN = '/usr/bin/chromium'

export interface Candidate {
  /** For messages. */
  readonly name: string
  /** Where its program is, and with what it wants to be started. */
  readonly locate: () => Promise<{ readonly path: string; readonly args: readonly string[] }>
}

export interface ChromiumOptions {
  /** Host names that mean this machine, as a rebound name of the DNS would. */
  readonly hostsHere?: readonly string[]
}

/** A browser, or why there is none: a line per candidate. */
export type Found =
  | { readonly browser: Browser; readonly name: string }
  | { readonly browser: undefined; readonly why: string }

export async function startChromium(options: ChromiumOptions = {}): Promise<Found> {
  const reasons: string[] = []
  for (const { name, locate } of candidates()) {
    try {
      const { path, args } = await locate()
      const browser = await launch(path, args, options)
      return { browser, name }
    } catch (error) {
      const [line = ''] = String(error instanceof Error ? error.message : error).split('\n')
      reasons.push(`${name}: ${line}`)
    }
  }
  return { browser: undefined, why: `no Chromium starts here (${reasons.join('; ')})` }
}

/**
 * Whether there is a browser. If not, the test that asks is skipped and says why; under `CI=true`
 * it fails, because there what is skipped is not seen.
 */
export function isThere(
  found: Found,
  skip: (why: string) => void,
): found is Extract<Found, { readonly name: string }> {
  if (found.browser !== undefined) return true
  if (process.env['CI'] === 'true') throw new Error(found.why)
  console.warn(found.why)
  skip(found.why)
  return false
}

function candidates(): readonly Candidate[] {
  const given = process.env['KV_CHROMIUM']
  const own: readonly Candidate[] =
    given === undefined || given === '' ? [] : [{ name: 'KV_CHROMIUM', locate: at(given) }]
  return [
    ...own,
    { name: DEBIAN, locate: at(DEBIAN) },
    { name: '@sparticuz/chromium', locate: packaged },
  ]
}

function at(path: string): Candidate['locate'] {
  return () => {
    if (existsSync(path)) return Promise.resolve({ path, args: [] })
    return Promise.reject(new Error(`there is no ${path}`))
  }
}

/** Unpacks itself into the temporary folder the first time. */
async function packaged(): Promise<{ path: string; args: readonly string[] }> {
  const { default: packed } = await import('@sparticuz/chromium')
  return { path: await packed.executablePath(), args: packed.args }
}

function launch(
  executablePath: string,
  args: readonly string[],
  { hostsHere = [] }: ChromiumOptions,
): Promise<Browser> {
  const rules = hostsHere.map((host) => `MAP ${host} 127.0.0.1`).join(', ')
  return chromium.launch({
    executablePath,
    headless: true,
    // Tests run as root, and in containers, where Chromium can't make a sandbox.
    chromiumSandbox: false,
    args: [
      ...args,
      '--disable-dev-shm-usage',
      ...(rules ? [`--host-resolver-rules=${rules}`] : []),
    ],
  })
}
