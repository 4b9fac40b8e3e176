/** What must hold in the world of the planner's model test, whatever happens. */
import type { ShardState } from '../shard-state.js'
import type { Directory } from './world-parts.js'

/** P1: what is acknowledged is in every copy that is said to be in sync. */
export function checkMembers(
  shard: ShardState,
  directories: readonly Directory[],
  acknowledged: number,
): void {
  for (const member of shard.inSync.members) {
    const { isDamaged, holds } = directories[member]!
    if (!isDamaged && holds < acknowledged) {
      throw new Error(`P1: copy ${member} of shard ${shard.id} is in sync and lacks writes`)
    }
  }
}

/** Nothing is given up that is sound. */
export function checkQuarantine(shard: ShardState, directories: readonly Directory[]): void {
  for (const { copy } of shard.copies.filter(({ phase }) => phase === 'damaged')) {
    const { isDamaged, isPoisoned } = directories[copy]!
    if (!isDamaged && !isPoisoned) {
      throw new Error(`copy ${copy} of shard ${shard.id} is sound and was given up`)
    }
  }
}
