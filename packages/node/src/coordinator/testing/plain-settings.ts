/** A coordinator's settings with nothing in them that a test of it is about. */
import { pino } from 'pino'
import type { CoordinatorSettings } from '../coordinator.js'

export const PLAIN_SETTINGS: Omit<
  CoordinatorSettings,
  'volumes' | 'children' | 'newShards' | 'fork'
> = {
  lostVolumes: [],
  usualChildren: 2,
  host: '127.0.0.1',
  port: 0,
  shards: undefined,
  replicationFactor: undefined,
  minInSync: undefined,
  token: undefined,
  origins: [],
  directPorts: undefined,
  limits: {
    valueBytesMax: 1_000,
    overlayBytesMax: 1_000,
    historyBytesMax: 1_000,
    historyMsMax: 1_000,
    inFlightBytesMax: 1_000,
    connectionsMax: 3,
  },
  fsync: 'always',
  snapshotsEveryMs: 0,
  pingTimeoutMs: 60_000,
  log: pino({ level: 'silent' }),
}
