defmodule Stack do
  @moduledoc """
  A stack in a process.
  """
  use GenServer

  @doc """
  Puts an item on top.
  """
  def push(pid, item) do
    GenServer.cast(pid, {:push, item})
  end

  def handle_cast({:push, item}, items) do
    {:noreply, [item | items]}
  end
end
