/**
 * Faults that are aimed at a change of the set in sync: a copy is taken away, and its primary right
 * then, or as soon as the copy is counted again. Where there is one copy, whoever has taken the shard
 * over is next.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { SeededRandom } from '../../load/seeded-random.js'
import type { NodeUnderFault, Pair } from './node-under-fault.js'
import type { Fault } from './schedule.js'
import type { BadNetwork } from './bad-network.js'

export interface StrikePorts {
  readonly node: NodeUnderFault
  readonly network: BadNetwork
  readonly random: SeededRandom
  /** Goes on beside the faults that follow. */
  readonly passes: (fault: Promise<void>) => void
  /** Whether no more faults are wanted. */
  readonly isEnding: () => boolean
}

type KillInTurn = Extract<Fault, { type: 'kill-in-turn' }>
type StrikeAtJoin = Extract<Fault, { type: 'strike-at-join' }>

/** A copy that was lost is counted again within this time, also on a busy machine, or nothing is struck at. */
const JOIN_PATIENCE_MS = 20_000
/** Clients wait no longer for answers that are held. */
const HELD_PATIENCE_MS = 5_000
const POLL_MS = 3
/** What was under way when the lines were held has reached the node, and its answers have not come back. */
const HELD_MS = 30

/** kill -9 of a backup, and a moment later of its primary. */
export async function killInTurn(ports: StrikePorts, { gapMs }: KillInTurn): Promise<void> {
  const { node, random } = ports
  const pairs = node.pairs()
  const pair = pairs.length === 0 ? undefined : random.pick(pairs)
  const first = pair?.backupPid ?? anyOf(node.childPids(), random)
  if (first === undefined) return
  node.kill(first)
  await delay(gapMs)
  const others = node.childPids().filter((pid) => pid !== first)
  const second = pair?.primaryPid ?? anyOf(others, random)
  if (second !== undefined) node.kill(second)
}

function anyOf(pids: readonly number[], random: SeededRandom): number | undefined {
  return pids.length === 0 ? undefined : random.pick(pids)
}

/**
 * kill -9 of a backup; when it is counted again, it is stopped for a while, and its primary killed
 * meanwhile. With `isLost` its files go, so that it is rebuilt; with `isHeld` the answers to all that
 * was under way before are lost, so that clients send it again to who was rebuilt.
 */
export async function strikeAtJoin(ports: StrikePorts, fault: StrikeAtJoin): Promise<number> {
  const { node, network, random } = ports
  const pairs = await pairsInTime(ports)
  if (pairs.length === 0) return 0
  const pair = random.pick(pairs)
  if (fault.isHeld) {
    network.hold()
    await delay(HELD_MS)
  }
  try {
    if (fault.isLost) node.killWithCopy(pair)
    else node.kill(pair.backupPid)
    await strikeWhenJoined(ports, pair, fault)
    return fault.isHeld ? network.cut() : 0
  } finally {
    if (fault.isHeld) network.release()
  }
}

/** The fault before may have left no copy to take away yet. */
async function pairsInTime({ node, isEnding }: StrikePorts): Promise<Pair[]> {
  const giveUpAt = performance.now() + JOIN_PATIENCE_MS
  let pairs = node.pairs()
  while (pairs.length === 0 && !isEnding() && performance.now() < giveUpAt) {
    await delay(POLL_MS)
    pairs = node.pairs()
  }
  return pairs
}

async function strikeWhenJoined(
  { node, passes, isEnding }: StrikePorts,
  lost: Pair,
  { stopMs, afterMs, isHeld }: StrikeAtJoin,
): Promise<void> {
  const giveUpAt = performance.now() + (isHeld ? HELD_PATIENCE_MS : JOIN_PATIENCE_MS)
  let joined = node.pairOf(lost.shard)
  // It left, and came back.
  while (joined === undefined || joined.setVersion < lost.setVersion + 2) {
    if (isEnding() || performance.now() > giveUpAt) return
    await delay(POLL_MS)
    joined = node.pairOf(lost.shard)
  }
  node.cameBack(lost.shard)
  if (stopMs > 0) passes(node.stop(joined.backupPid, stopMs))
  await delay(afterMs)
  node.kill(joined.primaryPid)
}
