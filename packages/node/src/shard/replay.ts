/**
 * Taking committed frames of the log into a copy's memory: its overlay and its sessions. A restart
 * and a backup do it alike, so that a copy ends equal whichever way it came there (P2). Nothing is
 * evaluated: entries hold decided effects.
 */
import { KvError } from '@kv/protocol'
import type { Held } from './held.js'
import { copyValue, tombstone } from './held.js'
import type { LogFrame } from './log/frame.js'
import { lastRevisionOf } from './log/frame.js'
import type { Overlay } from './overlay/overlay.js'
import type { Effect, ReadEntry } from './sequencer/record.js'
import { readEntries } from './sequencer/record.js'
import { recordedAnswer } from './sessions/recorded-answer.js'
import type { SessionTable } from './sessions/session-table.js'
import type { State } from './state/state.js'
import { StateDamage } from './state/stored-entry.js'

export interface Memory {
  readonly overlay: Overlay
  readonly state: State
  readonly sessions: SessionTable
}

/** A frame in memory of its own: one that was read is a view of a whole segment. */
export function ownFrame(frame: LogFrame): LogFrame {
  return { ...frame, body: Buffer.from(frame.body) }
}

/** Takes the frame that follows those before. Its body is kept: values live in it. */
export function replayFrame(frame: LogFrame, memory: Memory): void {
  const { overlay, state, sessions } = memory
  let copiedBytes = 0
  const effects: Effect[] = []
  const onEntry = (entry: ReadEntry): void => {
    replaySession(entry, effects, sessions)
    effects.length = 0
  }
  try {
    readEntries(
      frame.body,
      frame.count,
      frame.firstRevision,
      (effect) => {
        const held = heldOf(effect, overlay, state)
        const isCopy = effect.type === 'touch' && overlay.get(effect.key) === undefined
        if (isCopy) copiedBytes += held.end - held.start
        overlay.put(effect.key, held)
        effects.push(effect)
      },
      onEntry,
    )
  } catch (error) {
    if (!(error instanceof KvError)) throw error
    // The frame's checksum held, so this was written so: not a torn tail.
    throw new StateDamage(`revision ${frame.firstRevision} of the log: ${error.message}`, {
      cause: error,
    })
  }
  overlay.committed(lastRevisionOf(frame), frame.body.length + copiedBytes)
}

function replaySession(entry: ReadEntry, effects: readonly Effect[], sessions: SessionTable): void {
  const { clientId, sequence, revision, evicted } = entry
  if (evicted.length > 0) sessions.evict(evicted, revision)
  if (clientId === 0 || sequence === 0) return
  sessions.add(entry, { revision, answer: recordedAnswer(entry, effects) }, 0)
}

function heldOf(effect: Effect, overlay: Overlay, state: State): Held {
  if (effect.type !== 'touch') return effect.held
  const overlaid = overlay.get(effect.key)
  const current = overlaid ?? state.get(effect.key)
  if (current?.memory === undefined) return tombstone(0)
  if (overlaid !== undefined) return { ...overlaid, expiresAt: effect.expiresAt }
  const bytes = copyValue({ ...current, memory: current.memory })
  const { version } = current
  return { version, expiresAt: effect.expiresAt, memory: { bytes }, start: 0, end: bytes.length }
}
