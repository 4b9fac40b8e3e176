/**
 * What a child is told about a step of the plan, once that is persisted. Pure.
 */
import type { Hosting, ToChild } from '../link/control.js'
import type { CopyState } from './copy-state.js'
import type { NodeState } from './node-state.js'
import { shardOfState } from './node-state.js'
import type { ShardState } from './shard-state.js'
import { copyOf, hasPrimary, hostedCopy } from './shard-state.js'
import type { ShardStep } from './step.js'

/** Where things are on this machine. */
export interface Places {
  /** The path of a volume, by its index. */
  volumePath(volume: number): string
  directoryOf(shard: number, copy: CopyState): string
  /** Where the present process of a child listens for backups; empty if it does not. */
  addressOf(child: number): string
}

/** `undefined` if the step is out of date: its child has ended while it was persisted. */
export function instructionFor(
  state: NodeState,
  step: ShardStep,
  places: Places,
): ToChild | undefined {
  const shard = shardOfState(state, step.shard)
  if (step.type === 'tell') {
    const { epoch, inSync } = step
    const isCurrent = hasPrimary(shard) && shard.epoch === epoch
    return isCurrent ? { type: 'inSync', shard: shard.id, epoch, inSync } : undefined
  }
  if (hostedCopy(shard, step.child, step.hosting) === undefined) return undefined
  switch (step.type) {
    case 'release':
      return { type: 'release', shard: shard.id, hosting: step.hosting }
    case 'back': {
      const primaryAddress = places.addressOf(step.primaryChild)
      return { type: 'back', place: { ...hostingOf(shard, step, places), primaryAddress } }
    }
    case 'open': {
      const { epoch, inSync } = step
      const { minInSync } = state
      // It is published as open with the next version at the earliest.
      const topologyVersion = state.published.version + 1
      const place = { epoch, topologyVersion, inSync, minInSync }
      return { type: 'open', place: { ...hostingOf(shard, step, places), ...place } }
    }
  }
}

function hostingOf(
  shard: ShardState,
  step: { readonly copy: number; readonly hosting: number },
  places: Places,
): Hosting {
  const copy = copyOf(shard, step.copy)
  return {
    shard: shard.id,
    copy: step.copy,
    hosting: step.hosting,
    volume: places.volumePath(copy.volume),
    directory: places.directoryOf(shard.id, copy),
    create: !copy.isCreated,
  }
}
