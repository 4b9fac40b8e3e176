/**
 * Every call of the client, on a node that keeps two copies of every shard.
 */
import { afterAll, beforeAll } from 'vitest'
import { describeKeyspace } from './behaviour/keyspace-behaviour.js'
import { Scene } from './scene/scene.js'

const scene = new Scene('two copies')
let url = ''

beforeAll(async () => {
  const node = await scene.startNode({ children: 2, replicationFactor: 2 })
  url = node.url
})
afterAll(() => scene.end())

describeKeyspace({ name: 'two copies', makeClient: () => scene.client({ url, timeout: 20_000 }) })
