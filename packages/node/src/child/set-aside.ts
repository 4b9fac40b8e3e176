/** Keeps what is left of a damaged copy for whoever wants to look at it, beside the one that replaces it. */
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { moveAside } from '../shard/aside.js'

/** Moves a copy's directory, if there is one, to `<directory>.damaged-<n>`; one is kept. */
export async function setAside(directory: string): Promise<void> {
  try {
    await access(join(directory, 'log'))
  } catch {
    return
  }
  await moveAside(directory)
}
