/** A set, until a watcher of its key has heard of it: one key for each call that is under way. */
import type { PeerClient } from '../peers/peer.js'
import type { Call } from './calls.js'
import { NoSuchCallError } from './calls.js'

export interface WatchCall {
  readonly call: Call
  readonly end: () => Promise<void>
}

export async function watchCall(
  writer: PeerClient,
  watcher: PeerClient,
  lane: number,
): Promise<WatchCall> {
  if (watcher.watch === undefined) throw new NoSuchCallError('watch')
  const key = `bench:watch:${lane}`
  let onSeen: () => void = () => undefined
  let written = 0
  // Some watches tell of what was there before, and some only of what there is.
  await writer.set(key, String(written))
  const end = await watcher.watch(key, () => onSeen())
  const call = async (): Promise<void> => {
    const seen = new Promise<void>((resolve) => {
      onSeen = resolve
    })
    written += 1
    await Promise.all([writer.set(key, String(written)), seen])
  }
  return { call, end }
}
