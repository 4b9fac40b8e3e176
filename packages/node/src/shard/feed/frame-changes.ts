/**
 * The changes a watcher is told of, out of what a commit made of them: from the group that was just
 * committed, or from a frame that is read back. Both count the changes of an entry alike.
 *
 * A touch makes no change: it leaves value and version as they are. Keys of the system concern only who
 * names them (`feed-index.ts`).
 */
import type { Group } from '../sequencer/group.js'
import type { LogFrame } from '../log/frame.js'
import type { Held } from '../held.js'
import { readEntries } from '../sequencer/record.js'
import type { Change, ChangeType } from './feed.js'
import type { FeedIndex } from './feed-index.js'

/** Tells which change of its entry comes next; asked for each in the order of the log. */
class ChangeCount {
  private revision = -1
  private next = 0

  take(revision: number): number {
    if (revision !== this.revision) {
      this.revision = revision
      this.next = 0
    }
    this.next += 1
    return this.next - 1
  }
}

/** Hands out the changes of a committed group that concern somebody. */
export function changesOfGroup(
  group: Group,
  epoch: number,
  index: FeedIndex,
  onChange: (change: Change) => void,
): void {
  const count = new ChangeCount()
  for (let position = 0; position < group.keys.length; position += 1) {
    const held = group.helds[position] as Held
    const type = typeInGroup(group, held, position)
    if (type === undefined) continue
    const changeIndex = count.take(held.version)
    const key = group.keys[position] as string
    if (!index.concerns(key)) continue
    onChange({ type, key, epoch, revision: held.version, index: changeIndex, held })
  }
}

function typeInGroup(group: Group, held: Held, position: number): ChangeType | undefined {
  if (held.memory === undefined) return group.isExpiry(position) ? 'expire' : 'delete'
  // The value of a touched entry is a copy: it is not in the frame.
  return held.memory === group.writer ? 'set' : undefined
}

/** Hands out the changes of a frame that concern somebody. They refer to the frame's memory. */
export function changesOfFrame(
  frame: LogFrame,
  index: FeedIndex,
  onChange: (change: Change) => void,
): void {
  const count = new ChangeCount()
  const { epoch } = frame
  readEntries(frame.body, frame.count, frame.firstRevision, (effect) => {
    if (effect.type === 'touch') return
    const { key, held } = effect
    const changeIndex = count.take(held.version)
    if (!index.concerns(key)) return
    const type = effect.type === 'put' ? 'set' : effect.type
    onChange({ type, key, epoch, revision: held.version, index: changeIndex, held })
  })
}
