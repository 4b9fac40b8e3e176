/**
 * Read, change, write if nobody else has written; again if somebody has.
 */
import type { ExpiryRule } from '@kv/protocol'
import { KvError } from '@kv/protocol'
import { backoffMs } from './connection/backoff.js'
import type { FoundEntry } from './session/answers.js'
import { quoteKey } from './session/call-errors.js'

export const UPDATE_RETRIES = 32

/** Two writers that meet pass each other at once; only a crowd needs to spread. */
const CONFLICTS_WITHOUT_WAIT = 3
const CONFLICT_DELAYS = { baseMs: 4, maxMs: 250 } as const

export type WriteResult =
  | { readonly ok: true; readonly version: number }
  | { readonly ok: false; readonly current: FoundEntry | undefined }

export interface UpdatePorts {
  read(): Promise<FoundEntry | undefined>
  /** Writes over `version`, or where there is nothing if it is `null`. */
  write(value: unknown, version: number | null): Promise<WriteResult>
  sleep(ms: number): Promise<void>
  random: () => number
}

export interface UpdateTerms {
  readonly key: string
  readonly retries: number
  readonly expiry: ExpiryRule
}

type Change = (value: unknown, entry: FoundEntry | undefined) => unknown

/** The entry as it stands afterwards. */
export async function updateEntry(
  ports: UpdatePorts,
  { key, retries, expiry }: UpdateTerms,
  change: Change,
): Promise<FoundEntry | undefined> {
  let entry = await ports.read()
  for (let conflicts = 0; ; conflicts += 1) {
    const value = await change(entry?.value, entry)
    if (value === undefined) return entry
    const result = await ports.write(value, entry?.version ?? null)
    if (result.ok) {
      return withExpiry(ports, { key, value, version: result.version }, entry?.expiresAt, expiry)
    }
    if (conflicts >= retries) {
      throw new KvError(
        'CONFLICT',
        `update of ${quoteKey(key)}: other writers were faster ${conflicts + 1} times; ` +
          'try again later, or allow more retries',
      )
    }
    entry = result.current
    if (conflicts >= CONFLICTS_WITHOUT_WAIT) {
      const failures = conflicts - CONFLICTS_WITHOUT_WAIT
      await ports.sleep(backoffMs(CONFLICT_DELAYS, failures, ports.random))
    }
  }
}

async function withExpiry(
  ports: UpdatePorts,
  written: FoundEntry,
  formerExpiresAt: number | undefined,
  expiry: ExpiryRule,
): Promise<FoundEntry> {
  switch (expiry.kind) {
    case 'none':
      return written
    case 'keep':
      return formerExpiresAt === undefined ? written : { ...written, expiresAt: formerExpiresAt }
    case 'at':
      return { ...written, expiresAt: expiry.ms }
    case 'ttl': {
      // Only the node's clock knows when that is. The write is done: no failure from here on.
      const current = await ports.read().catch(() => undefined)
      const expiresAt = current?.version === written.version ? current.expiresAt : undefined
      return expiresAt === undefined ? written : { ...written, expiresAt }
    }
  }
}
