/**
 * Where the node keeps its data: the directory given, which stays, or a temporary one, which is
 * removed however the demo ends.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const REMOVE_RETRIES = 10
const REMOVE_RETRY_MS = 50

export interface DataDirectory {
  readonly path: string
  readonly isTemporary: boolean
  /** Does nothing to a directory that was given. */
  remove(): void
}

export function openDataDirectory(given: string | undefined): DataDirectory {
  if (given !== undefined) return { path: resolve(given), isTemporary: false, remove: () => {} }
  const path = mkdtempSync(join(tmpdir(), 'kv-demo-'))
  const remove = (): void => {
    process.off('exit', remove)
    // A child that is only just ending may still make a file while its directory is emptied.
    const retries = { maxRetries: REMOVE_RETRIES, retryDelay: REMOVE_RETRY_MS }
    rmSync(path, { recursive: true, force: true, ...retries })
  }
  // For every end that passes by the regular one.
  process.on('exit', remove)
  return { path, isTemporary: true, remove }
}
