#include <gtest/gtest.h>

#include "abi/facts.h"

TEST(Header, agrees_with_the_systems_in_every_number_size_and_offset) {
    const Facts ours = our_facts();
    const Facts systems = system_facts();
    ASSERT_GT(systems.size(), 250u);
    for (const auto& [name, value] : systems) {
        const auto found = ours.find(name);
        ASSERT_NE(found, ours.end()) << name;
        EXPECT_EQ(found->second, value) << name;
    }
}

TEST(Header, lays_a_ring_out_as_liburings_does) {
    const Facts ours = our_layout();
    const Facts liburings = liburings_layout();
    ASSERT_GT(liburings.size(), 40u);
    EXPECT_EQ(ours, liburings);
}
