/**
 * @kv/protocol: what a kv client and a kv node must agree on, and nothing else.
 *
 * Pure: no I/O, no timers, no clock. Runs in Node and in browsers; `browser.ts` is the same for
 * bundlers, without what only makes it faster in Node.
 */
export * from './atomic-call.js'
export * from './batch-body.js'
export * from './batch-reply.js'
export * from './calls.js'
export * from './codec.js'
export * from './errors.js'
export * from './event-body.js'
export * from './keys.js'
export * from './limits.js'
export * from './lock-call.js'
export * from './lock-queue.js'
export * from './messages.js'
export * from './system-keys.js'
export * from './topology.js'
export * from './value-decoder-node.js'
export * from './values.js'
export * from './watch-body.js'
export * from './wire-reader.js'
export * from './wire-writer.js'
