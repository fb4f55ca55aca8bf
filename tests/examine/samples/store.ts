import { readFile } from "fs";

/** What is kept of a user. */
export interface User {
  id: number;
  name: string;
}

export class Store {
  private users: Map<number, User> = new Map();

  add(user: User): void {
    if (this.users.has(user.id)) {
      throw new Error(`user ${user.id} exists`);
    }
    this.users.set(user.id, user);
  }
}
