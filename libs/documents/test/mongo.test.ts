import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, test, vi } from 'vitest';
import { findMongo, type MongoServer } from '../../../test/servers/mongodb.ts';
import { newId } from '../src/index.ts';
import { documentsContract } from './contract.ts';
import { mongoFaults } from './mongo-faults.ts';

// Slow disks and busy machines are no failures.
vi.setConfig({ testTimeout: 30_000 });

const found = findMongo();

if ('reason' in found) {
  describe('documents: MongoDB', () => {
    test.skip(`skipped: ${found.reason}`, () => {});
  });
} else {
  describe('on a server', () => {
    let server: MongoServer;
    const urls: string[] = [];
    const freshUrl = async () => {
      const url = server.databaseUrl(`test-${newId()}`);
      urls.push(url);
      return url;
    };
    beforeAll(async () => {
      server = await found.start();
    }, 40_000);
    afterAll(async () => {
      for (const url of urls) {
        const client = new MongoClient(url);
        await client.db().dropDatabase();
        await client.close();
      }
      await server?.stop();
    }, 40_000);
    const subject = { name: `MongoDB (${found.kind})`, freshUrl };
    documentsContract(subject);
    mongoFaults(subject);
  });
}
